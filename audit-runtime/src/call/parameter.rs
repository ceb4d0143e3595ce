//! The capture of a parameter, by what its type can do.

use super::Call;
use super::links::links;
use crate::capture::diagnostics::Capture;
use crate::capture::{Captured, Key};
use serde::Serialize;
use std::ops::Deref;

links! {
    /// A parameter that is a wrapper.
    Parameter -> ParameterValue,
    /// A parameter that serde knows.
    ParameterValue -> ParameterContent,
    /// A parameter whose content serde knows.
    ParameterContent -> ParameterOther,
    /// Any other.
    ParameterOther
}

/// Wraps a parameter.
#[inline(always)]
pub const fn parameter<P>(parameter: &P) -> Parameter<&P> {
    Parameter::new(parameter)
}

impl<W: Captured> Parameter<&W> {
    /// Captures the content of a wrapper.
    #[inline]
    pub fn audited_parameter(self, call: &mut Call, key: &'static Key) {
        // A `()` does not count as a value.
        if std::any::type_name::<W::Value>() != std::any::type_name::<()>() {
            call.serialize(key, self.value().captured());
        }
    }

    /// Captures the content of an extractor.
    #[inline]
    pub fn audited_extractor(self, call: &mut Call, key: &'static Key) {
        self.audited_parameter(call, key);
    }

    /// Captures the content of a value that is a part of the program by its type's name.
    #[inline]
    pub fn audited_handle(self, call: &mut Call, key: &'static Key) {
        self.audited_parameter(call, key);
    }

    /// Captures the content of a wrapper, in which these keys are not secrets.
    #[inline]
    pub fn audited_plain(self, call: &mut Call, key: &'static Key, plain: &'static [&'static str]) {
        call.serialize_with(key, self.value().captured(), plain);
    }

    /// Captures the content of an extractor, in which these keys are not secrets.
    #[inline]
    pub fn audited_plain_extractor(self, call: &mut Call, key: &'static Key, plain: &'static [&'static str]) {
        self.audited_plain(call, key, plain);
    }
}

impl<T> ParameterValue<&T> {
    /// Captures a value.
    #[inline]
    pub fn audited_parameter(self, call: &mut Call, key: &'static Key)
    where
        T: Capture,
    {
        call.serialize(key, self.value());
    }

    /// Captures a value in which these keys are not secrets.
    #[inline]
    pub fn audited_plain(self, call: &mut Call, key: &'static Key, plain: &'static [&'static str])
    where
        T: Capture,
    {
        call.serialize_with(key, self.value(), plain);
    }
}

impl<T: Serialize> ParameterValue<&T> {
    /// Captures a value that has an extractor's name, in which these keys are not secrets.
    #[inline]
    pub fn audited_plain_extractor(self, call: &mut Call, key: &'static Key, plain: &'static [&'static str]) {
        call.serialize_with(key, self.value(), plain);
    }

    /// Captures a value that has an extractor's name.
    #[inline]
    pub fn audited_extractor(self, call: &mut Call, key: &'static Key) {
        call.serialize(key, self.value());
    }

    /// Captures a value that is data, against its type's name.
    #[inline]
    pub fn audited_handle(self, call: &mut Call, key: &'static Key) {
        call.serialize(key, self.value());
    }
}

impl<W: Deref<Target: Serialize>> ParameterContent<&W> {
    /// Captures the content of another framework's extractor.
    #[inline]
    pub fn audited_extractor(self, call: &mut Call, key: &'static Key) {
        call.serialize(key, &**self.value());
    }

    /// Captures the content of another framework's extractor, in which these keys are not secrets.
    #[inline]
    pub fn audited_plain_extractor(self, call: &mut Call, key: &'static Key, plain: &'static [&'static str]) {
        call.serialize_with(key, &**self.value(), plain);
    }
}

impl<T> ParameterOther<&T> {
    /// Demands that a value that has an extractor's name can be captured.
    #[inline]
    pub fn audited_extractor(self, call: &mut Call, key: &'static Key)
    where
        T: Capture,
    {
        call.serialize(key, self.value());
    }

    /// Demands the same of a value in which some keys are not secrets.
    #[inline]
    pub fn audited_plain_extractor(self, call: &mut Call, key: &'static Key, plain: &'static [&'static str])
    where
        T: Capture,
    {
        call.serialize_with(key, self.value(), plain);
    }

    /// Captures nothing of a part of the program.
    #[inline]
    pub fn audited_handle(self, _: &mut Call, _: &'static Key) {}
}
