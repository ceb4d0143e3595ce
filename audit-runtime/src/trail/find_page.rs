//! Pages of the events that contain a text: those that have it in an indexed place, and those that have
//! it in a value.

use super::cursor::Cursor;
use super::filter::EventFilter;
use super::find::{Find, Finding, FoundEvent};
use super::read::Trail;
use crate::event::Timestamp;
use crate::postgres::DatabaseError;
use std::cmp::Reverse;
use std::time::Duration;

/// A page of the events that contain a text, newest first.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FoundPage {
    /// The events.
    pub found: Vec<FoundEvent>,
    /// The cursor behind the page, or behind the events that were looked at. It is `None` if no event
    /// follows.
    pub next: Option<Cursor>,
    /// The time down to which all events were looked at, if the time was over before the page was
    /// full.
    pub up_to: Option<Timestamp>,
}

/// A search for a text, whose pages are asked for one by one. [`Trail::search`] begins it.
pub struct TextSearch(Finding);

impl Trail {
    /// Begins a search for a text, in pages: in keys, or in values.
    ///
    /// ```no_run
    /// # use audit_runtime::trail::{EventFilter, Find, Trail};
    /// # async fn print(trail: Trail) -> Result<(), audit_runtime::DatabaseError> {
    /// use std::time::Duration;
    ///
    /// let mut filter = EventFilter::new().tenant("acme");
    /// loop {
    ///     let search = trail.search(Find::new("INV-2026-0007").filter(filter.clone())).await?;
    ///     let page = search.values(Duration::from_millis(100)).await?;
    ///     page.found.iter().for_each(|found| println!("{} {:?}", found.event.created_at, found.path));
    ///     let Some(next) = page.next else { break };
    ///     filter = filter.after(next);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A query fails.
    pub async fn search(&self, find: Find) -> Result<TextSearch, DatabaseError> {
        let mut finding = Finding::new(self, find);
        if !finding.text.is_empty() {
            finding.find_places().await.map_err(DatabaseError::of)?;
        }
        Ok(TextSearch(finding))
    }
}

impl TextSearch {
    /// Returns one page of the events that have the text in a place that an index serves.
    ///
    /// [`Trail::find`] lists the places, in which the text has to be all of it. Here they are in one
    /// order, newest first. The page has the filter's limit, and begins behind its cursor.
    ///
    /// # Errors
    /// A query fails.
    pub async fn keys(&self) -> Result<FoundPage, DatabaseError> {
        let Finding { trail, find, places, .. } = &self.0;
        let (size, mut found, mut next) = (find.filter.page_size(), Vec::new(), None);
        let order = |cursor: &Cursor| (cursor.created_at, cursor.id);
        for (number, at) in places.iter().enumerate() {
            let filter = find.filter.clone().newest_first();
            let not_at = places[..number].to_vec();
            let page = trail.events(&EventFilter { at: Some(at.clone()), not_at, ..filter }).await?;
            found.extend(page.events.into_iter().map(|event| FoundEvent::at_key(event, at.place())));
            // Together the places are known as far as the one that is known least far.
            next = next.into_iter().chain(page.next).max_by_key(order);
        }
        let place = |found: &FoundEvent| Cursor::of(&found.event);
        found.retain(|found| next.as_ref().is_none_or(|next| order(&place(found)) >= order(next)));
        found.sort_by_key(|found| Reverse(order(&place(found))));
        if found.len() > size {
            found.truncate(size);
            next = found.last().map(place);
        }
        Ok(FoundPage { found, next, up_to: None })
    }

    /// Returns one page of the events that contain the text in a value, or what was found of it `within`
    /// a time.
    ///
    /// It leaves out the events of [`keys`](Self::keys). No index serves values, so the search goes back
    /// in windows of time, as [`Trail::look`] does. The page has the filter's limit, and begins behind
    /// its cursor.
    ///
    /// # Errors
    /// A query fails.
    pub async fn values(&self, within: Duration) -> Result<FoundPage, DatabaseError> {
        let Finding { trail, find, text, containing, places, .. } = &self.0;
        if text.is_empty() {
            return Ok(FoundPage { found: Vec::new(), next: None, up_to: None });
        }
        let filter = find.filter.clone().newest_first();
        let since = filter.since.into_iter().chain(find.values_since).max();
        let filter = EventFilter { containing: Some(containing.clone()), since, not_at: places.clone(), ..filter };
        let looked = trail.looked(&filter, within).await.map_err(DatabaseError::of)?;
        let (read, last) = (looked.events.len(), looked.events.last().map(|event| event.created_at));
        let found = self.0.found_in(looked.events).await?;
        // PostgreSQL's condition lets some events through that do not contain the text.
        let up_to = looked.up_to.or(last.filter(|_| looked.next.is_some() && found.len() < read));
        Ok(FoundPage { found, next: looked.next, up_to })
    }
}
