//! The grammar of event types.

/// The longest event type, in bytes.
pub const MAX_EVENT_TYPE: usize = 128;

/// Returns whether a text is an event type.
///
/// An event type is `noun.verb`, in lower case, digits and underscores, of at most
/// [`MAX_EVENT_TYPE`] bytes.
#[must_use]
pub const fn is_event_type(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut dots = 0;
    let mut begins = true;
    while at < bytes.len() {
        match bytes[at] {
            b'a'..=b'z' => begins = false,
            b'0'..=b'9' | b'_' if !begins => {}
            b'.' if !begins => {
                dots += 1;
                begins = true;
            }
            _ => return false,
        }
        at += 1;
    }
    dots > 0 && !begins && bytes.len() <= MAX_EVENT_TYPE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_types_follow_the_grammar() {
        for good in ["order.submitted", "a.b", "order.duplicate_prevented", "a1.b2.c3", "k8s.pod.deleted"] {
            assert!(is_event_type(good), "{good}");
        }
        let long = format!("a.{}", "b".repeat(127));
        for bad in [
            "",
            ".",
            "order",
            "order.",
            ".order",
            "Order.submitted",
            "order..x",
            "order.1x",
            "a b.c",
            "a.b-c",
            "ä.b",
            &long,
        ] {
            assert!(!is_event_type(bad), "{bad}");
        }
    }
}
