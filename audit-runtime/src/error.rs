//! An error of any type, as text: by the best its type can do, chosen at compile time without asking it for a bound.
//!
//! The choice is by auto-referenced method calls: `(&&&&&&&&Described(&error)).describe()` takes the first
//! implementation that fits while the compiler strips one reference after the other. The technique is David
//! Tolnay's ("autoref-based stable specialization",
//! <https://github.com/dtolnay/case-studies/blob/master/autoref-specialization/README.md>).

use serde::Serialize;
use std::error::Error;
use std::fmt::{Debug, Display};
use std::iter::successors;

/// What is recorded as `data.error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorText {
    /// The error itself.
    pub message: String,
    /// Its sources, the nearest first.
    pub causes: Vec<String>,
}

impl ErrorText {
    pub(crate) fn of_error(error: &(dyn Error + '_)) -> Self {
        let message = error.to_string();
        let mut causes: Vec<String> = Vec::new();
        // A source chain that runs in circles is somebody's bug, and must not become ours.
        for cause in successors(error.source(), |&cause| cause.source()).take(32) {
            let text = cause.to_string();
            // An error that only displays its source says nothing of its own.
            if text != *causes.last().unwrap_or(&message) {
                causes.push(text);
            }
        }
        Self { message, causes }
    }

    /// By the error's `Debug`, and nothing else.
    pub fn by_debug<E: Debug + ?Sized>(error: &E) -> Self {
        Self::plain(format!("{error:?}"))
    }

    /// By the error's `Display`, and nothing else.
    pub fn by_display<E: Display + ?Sized>(error: &E) -> Self {
        Self::plain(error.to_string())
    }

    fn plain(message: String) -> Self {
        Self { message, causes: Vec::new() }
    }
}

/// An error to be described.
#[derive(Debug)]
pub struct Described<'a, E: ?Sized>(pub &'a E);

macro_rules! ways {
    ($($(#[$doc:meta])* $name:ident [$($depth:tt)*] ($($bound:tt)+) |$error:ident| $body:expr;)+) => {$(
        $(#[$doc])*
        pub trait $name {
            /// The error's text.
            fn describe(&self) -> ErrorText;
        }

        impl<E: $($bound)+> $name for $($depth)* Described<'_, E> {
            fn describe(&self) -> ErrorText {
                let $error: &E = self.0;
                $body
            }
        }
    )+};
}

ways! {
    /// By its `Error` sources.
    ByError [&&&&&&] (Error) |error| ErrorText::of_error(&error);
    /// `anyhow::Error`, `Box<dyn Error + Send + Sync>`.
    BySendSync [&&&&&] (AsRef<dyn Error + Send + Sync>) |error| ErrorText::of_error(error.as_ref());
    /// `Box<dyn Error + Send>`.
    BySend [&&&&] (AsRef<dyn Error + Send>) |error| ErrorText::of_error(error.as_ref());
    /// `Box<dyn Error>`.
    ByDyn [&&&] (AsRef<dyn Error>) |error| ErrorText::of_error(error.as_ref());
    /// By its `Display`.
    ByDisplay [&&] (Display + ?Sized) |error| ErrorText::plain(error.to_string());
    /// By its `Debug`.
    ByDebug [&] (Debug + ?Sized) |error| ErrorText::plain(format!("{error:?}"));
    /// By its type's name.
    ByTypeName [] (?Sized) |_error| ErrorText::plain(std::any::type_name::<E>().to_owned());
}

/// Pairs of an error and what it gives back, as in `Result<Paid, (Self, Declined)>`, or of a status and a text: the error is told, and
/// what does not display is not. (They come before a Debug text of the whole, which would tell all of it.)
macro_rules! pairs {
    ($($way:ident [$($depth:tt)*] <$first:ident, $second:ident> ($($bounds:tt)+) |$pair:ident| $body:expr;)+) => {$(
        impl<$first, $second> $way for $($depth)* Described<'_, ($first, $second)>
        where
            $($bounds)+
        {
            fn describe(&self) -> ErrorText {
                let $pair: &($first, $second) = self.0;
                $body
            }
        }
    )+};
}

pairs! {
    ByDisplay [&&&&&&&] <A, B> (B: Error) |pair| ErrorText::of_error(&pair.1);
    ByDisplay [&&&&&&] <A, B> (A: Error) |pair| ErrorText::of_error(&pair.0);
    ByDisplay [&&&&&] <A, B> (A: Display, B: Display) |pair| ErrorText::plain(format!("{}: {}", pair.0, pair.1));
    ByDisplay [&&&&] <A, B> (A: Display, B: Debug) |pair| ErrorText::plain(format!("{}: {:?}", pair.0, pair.1));
    ByDisplay [&&&] <A, B> (B: Display) |pair| ErrorText::by_display(&pair.1);
    ByDebug [&&] <A, B> (B: Debug) |pair| ErrorText::by_debug(&pair.1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fmt, io};

    macro_rules! describe {
        ($error:expr) => {
            (&&&&&&&&Described(&$error)).describe()
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
    fn what_is_no_error_is_shown_as_well_as_it_can_be() {
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
        #[allow(clippy::needless_borrow, reason = "as many as the attribute writes")]
        fn of<E: Error>(error: &E) -> ErrorText {
            (&&&&&&&&Described(error)).describe()
        }
        assert_eq!(of(&load()), chain());
    }
}
