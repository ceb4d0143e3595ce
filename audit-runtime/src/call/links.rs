//! Types that lead to one another by `Deref`, so that the compiler chooses a method by the type of
//! a value.
//!
//! Each link has the method for the values that fit it, by an inherent implementation with bounds.
//! The compiler takes the first link whose bounds hold, without a bound on the value where the
//! method is called. Probing precedes monomorphisation: a type parameter is known by its own bounds
//! alone.
//!
//! Traits and references do the same ("autoref-based stable specialization", by David Tolnay), at a
//! price. Each function imports every such trait, and the compiler tries each of them at each
//! reference.

/// Defines links from the first to the last, each around the next. The last one is around the value
/// itself.
macro_rules! links {
    ($(#[$doc:meta])* $link:ident -> $next:ident $(, $($rest:tt)+)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $link<V>($next<V>);

        impl<V: Copy> $link<V> {
            #[inline(always)]
            pub(super) const fn new(value: V) -> Self {
                Self($next::new(value))
            }

            #[allow(dead_code)]
            #[inline(always)]
            pub(super) const fn value(self) -> V {
                self.0.value()
            }
        }

        impl<V> std::ops::Deref for $link<V> {
            type Target = $next<V>;

            #[inline(always)]
            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }

        $($crate::call::links::links! { $($rest)+ })?
    };
    ($(#[$doc:meta])* $link:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $link<V>(V);

        impl<V: Copy> $link<V> {
            #[inline(always)]
            pub(super) const fn new(value: V) -> Self {
                Self(value)
            }

            #[allow(dead_code)]
            #[inline(always)]
            pub(super) const fn value(self) -> V {
                self.0
            }
        }
    };
}

pub(super) use links;
