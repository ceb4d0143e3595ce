//! The error of a call as text: by the best that its type can do.

use super::Call;
use super::links::links;
use crate::capture::error_text::ErrorText;
use std::error::Error;
use std::fmt::{Debug, Display};

// An error may come in a pair with a returned value, as in `Result<Paid, (Self, Declined)>`, or
// with a status and a text. The error is recorded, and the part that does not display is not. Pairs
// come before a Debug text of the whole, which would show all of it.
links! {
    /// An error by its `Error` sources.
    Described -> SecondError,
    /// A pair with an `Error` behind.
    SecondError -> FirstError,
    /// A pair with an `Error` before.
    FirstError -> SharedError,
    /// `anyhow::Error`, `Box<dyn Error + Send + Sync>`.
    SharedError -> DisplayedPair,
    /// A pair of texts.
    DisplayedPair -> SentError,
    /// `Box<dyn Error + Send>`.
    SentError -> DebuggedPair,
    /// A pair of a text and a value.
    DebuggedPair -> LocalError,
    /// `Box<dyn Error>`.
    LocalError -> DisplayedSecond,
    /// A pair with a text behind.
    DisplayedSecond -> WithStatus,
    /// An HTTP response, where those are known.
    WithStatus -> Displayed,
    /// A value by its `Display`.
    Displayed -> DebuggedSecond,
    /// A pair by the `Debug` of the second.
    DebuggedSecond -> Debugged,
    /// A value by its `Debug`.
    Debugged -> Named,
    /// A value by the name of its type.
    Named
}

/// Wraps an error.
#[inline(always)]
pub const fn described<E: ?Sized>(error: &E) -> Described<&E> {
    Described::new(error)
}

macro_rules! texts {
    ($($link:ident: [$($bounds:tt)*] $type:ty, |$error:ident| $text:expr;)+) => {$(
        impl<$($bounds)*> $link<&$type> {
            /// Returns the error's text.
            #[must_use]
            pub fn audited_text(self) -> ErrorText {
                let $error = self.value();
                $text
            }

            /// Captures the error.
            #[inline]
            pub fn audited_capture(self, call: &mut Call) {
                call.error(&|| self.audited_text());
            }

            /// Captures the error, and records that the call returned it.
            #[inline]
            pub fn audited_end(self, call: &mut Call) {
                if call.is_recorded() {
                    call.fail_as(&|| self.audited_text());
                }
            }
        }
    )+};
}

#[cfg(any(feature = "actix-web", feature = "axum"))]
pub(super) use texts;

texts! {
    Described: [E: Error] E, |error| ErrorText::of_error(error);
    SecondError: [A, B: Error] (A, B), |pair| ErrorText::of_error(&pair.1);
    FirstError: [A: Error, B] (A, B), |pair| ErrorText::of_error(&pair.0);
    SharedError: [E: AsRef<dyn Error + Send + Sync>] E, |error| ErrorText::of_error(error.as_ref());
    DisplayedPair: [A: Display, B: Display] (A, B), |pair| ErrorText::plain(format!("{}: {}", pair.0, pair.1));
    SentError: [E: AsRef<dyn Error + Send>] E, |error| ErrorText::of_error(error.as_ref());
    DebuggedPair: [A: Display, B: Debug] (A, B), |pair| ErrorText::plain(format!("{}: {:?}", pair.0, pair.1));
    LocalError: [E: AsRef<dyn Error>] E, |error| ErrorText::of_error(error.as_ref());
    DisplayedSecond: [A, B: Display] (A, B), |pair| ErrorText::by_display(&pair.1);
    Displayed: [E: Display + ?Sized] E, |error| ErrorText::by_display(error);
    DebuggedSecond: [A, B: Debug] (A, B), |pair| ErrorText::by_debug(&pair.1);
    Debugged: [E: Debug + ?Sized] E, |error| ErrorText::by_debug(error);
    Named: [E: ?Sized] E, |_error| ErrorText::plain(std::any::type_name::<E>().to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fmt, io};

    macro_rules! describe {
        ($error:expr) => {
            described(&$error).audited_text()
        };
    }

    #[derive(Debug, thiserror::Error)]
    #[error("cannot load")]
    struct Load(#[source] io::Error);

    fn load() -> Load {
        Load(io::Error::other("disk on fire"))
    }

    fn chain() -> ErrorText {
        ErrorText { message: "cannot load".into(), causes: vec!["disk on fire".into()] }
    }

    #[test]
    fn errors_come_with_their_causes_boxed_or_not() {
        assert_eq!(describe!(load()), chain());
        assert_eq!(describe!(Box::<dyn Error>::from(load())), chain());
        assert_eq!(describe!(Box::<dyn Error + Send + Sync>::from(load())), chain());
        let send: Box<dyn Error + Send> = Box::new(load());
        assert_eq!(describe!(send), chain());
        assert_eq!(describe!(anyhow::Error::from(load())), chain());
    }

    #[test]
    fn a_value_without_the_error_trait_is_shown_as_well_as_possible() {
        struct Shown;
        impl fmt::Display for Shown {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("shown")
            }
        }
        #[derive(Debug)]
        struct Debugged;
        struct Opaque;
        assert_eq!(describe!("text").message, "text");
        assert_eq!(describe!(Shown).message, "shown");
        assert_eq!(describe!(Debugged).message, "Debugged");
        assert!(describe!(Opaque).message.ends_with("Opaque"));
    }

    #[test]
    fn of_a_pair_the_error_is_told_and_not_what_it_gives_back() {
        #[derive(Debug)]
        struct Draft;
        #[derive(Debug)]
        struct Why;
        struct Opaque;
        assert_eq!(describe!((Draft, load())), chain());
        assert_eq!(describe!((Opaque, load())), chain());
        assert_eq!(describe!((load(), Draft)), chain());
        assert_eq!(describe!((io::Error::other("first"), load())), chain());
        assert_eq!(describe!((Draft, "declined")).message, "declined");
        assert_eq!(describe!((Opaque, Why)).message, "Why");
        assert_eq!(describe!(("400 Bad Request", "no quantity")).message, "400 Bad Request: no quantity");
        assert_eq!(describe!(("400 Bad Request", Why)).message, "400 Bad Request: Why");
        assert!(describe!((Why, Opaque)).message.contains("Opaque"));
    }

    #[test]
    fn a_cause_that_repeats_what_was_said_is_left_out() {
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Around(#[source] Load);
        assert_eq!(describe!(Around(load())), chain());
    }

    #[test]
    fn a_type_parameter_is_described_by_its_bounds() {
        fn of<E: Error>(error: &E) -> ErrorText {
            described(error).audited_text()
        }
        assert_eq!(of(&load()), chain());
    }
}
