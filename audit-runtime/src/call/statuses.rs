//! HTTP responses: the status is the result of the call, and decides its outcome.

/// Defines values with a status, each by its type and the expression of its status.
macro_rules! statuses {
    ($(<$($parameter:ident)?> $type:ty, |$value:ident| $status:expr;)+) => {$(
        impl$(<$parameter>)? $crate::call::shown::Shown<&$type> {
            /// Captures the status as the call's result.
            pub fn audited_capture(self, call: &mut $crate::call::Call) {
                let $value = self.value();
                call.serialize(const { &$crate::capture::Key::new("result") }, &$status.as_u16());
            }

            /// Captures the status of an `impl IntoResponse` as the call's result.
            pub fn audited_status(self, call: &mut $crate::call::Call) {
                self.audited_capture(call);
            }

            /// Captures the status of a type that contains a type parameter of the function.
            pub fn audited_capture_generic(self, call: &mut $crate::call::Call) {
                self.audited_capture(call);
            }

            /// Counts the call as a failure if the status is of the 4xx or 5xx.
            pub fn audited_outcome(self, call: &mut $crate::call::Call) {
                let $value = self.value();
                call.fails($status.is_client_error() || $status.is_server_error());
            }

            /// Captures the status, and records that the call returned it.
            ///
            /// The call counts as a failure if it may be one and the status is one.
            pub fn audited_end(self, call: &mut $crate::call::Call, may_fail: bool) {
                call.capture(|call| {
                    if may_fail {
                        self.audited_outcome(call);
                    }
                    self.audited_capture(call);
                });
                call.finish_ok();
            }

            /// Records the returned status of a type that contains a type parameter of the
            /// function.
            pub fn audited_end_generic(self, call: &mut $crate::call::Call, may_fail: bool) {
                self.audited_end(call, may_fail);
            }
        }

        #[diagnostic::do_not_recommend]
        impl$(<$parameter>)? $crate::call::demands::EndsInError for $type {}
    )+};
}

pub(super) use statuses;
