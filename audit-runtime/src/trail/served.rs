//! Which conditions of a filter an index serves.

use super::filter::EventFilter;

impl EventFilter {
    /// Returns whether events have to be sifted, because no index alone lists those that match in the
    /// order of time.
    pub(super) fn sifts(&self) -> bool {
        let by_several_types = !self.events.is_empty() && !self.is_of_one_type();
        let by_outcome = !self.outcomes.is_empty() && !self.is_of_one_failure();
        let by_list = |lists: &[Vec<String>]| lists.iter().any(|list| list.len() != 1);
        let by_value = !self.data.is_empty() || !self.context.is_empty() || self.containing.is_some();
        let by_column = self.entity_type.is_some() || self.origin.is_some() || self.at_least.is_some();
        by_several_types
            || by_outcome
            || by_list(&self.tenants)
            || !self.entity_types.is_empty()
            || by_value
            || by_column
            // An index serves one of them, and the rows that it leads to are sifted by the others.
            || (!self.is_of_few() && self.leads() > 1)
    }

    /// Returns whether an index may lead to few events, so that all of them can be read at once.
    pub(super) fn has_lead(&self) -> bool {
        self.is_of_few() || self.leads() > 0 || !self.data.is_empty()
    }

    /// Returns whether a condition names one thing, which has few events as a rule.
    fn is_of_few(&self) -> bool {
        let by_entity = self.entity_id.is_some() || self.entity.is_some() || self.target.is_some();
        let by_call = self.correlation.is_some() || self.causation.is_some() || self.batch.is_some();
        self.id.is_some() || by_entity || by_call || self.at.is_some()
    }

    /// Returns how many conditions have an index in the order of time.
    fn leads(&self) -> usize {
        let tenants = self.tenants.iter().filter(|list| list.len() == 1).count();
        let columns =
            [self.actor.is_some(), self.tenant.is_some(), tenants > 0, self.is_of_one_type(), self.is_of_one_failure()];
        columns.into_iter().filter(|leads| *leads).count()
    }

    fn is_of_one_type(&self) -> bool {
        matches!(&*self.events, [event] if !event.contains('*'))
    }

    /// The index of outcomes leaves out the commonest.
    fn is_of_one_failure(&self) -> bool {
        matches!(&*self.outcomes, [outcome] if outcome != "ok")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_an_index_lists_in_the_order_of_time_is_not_sifted() {
        let filter = EventFilter::new;
        for served in [
            filter(),
            filter().event("order.filled"),
            filter().actor("desk"),
            filter().tenant("acme").without_event("audit.viewed"),
            filter().tenant_any(["acme"]),
            filter().outcome_text("error"),
            filter().entity("account", 42).actor("desk"),
        ] {
            assert!(!served.sifts(), "{served:?}");
        }
        for (sifted, has_lead) in [
            (filter().event("order.*"), false),
            (filter().event("a.b").event("c.d"), false),
            (filter().context(json!({"ip": "10.0.0.7"})), false),
            (filter().data(json!({"ticker": "T1"})), true),
            (filter().origin("desk@*"), false),
            (filter().outcome_text("ok"), false),
            (filter().entity_type("account"), false),
            (filter().tenant_any(["acme", "globex"]), false),
            (filter().tenant("acme").actor("desk"), true),
            (filter().entity("account", 42).data(json!({"a": 1})), true),
        ] {
            assert_eq!((sifted.sifts(), sifted.has_lead()), (true, has_lead), "{sifted:?}");
        }
    }
}
