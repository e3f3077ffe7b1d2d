//! The text of the snapshot: made once for a position, and shared by all who come at it.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::setup::Settings;
use crate::event::wire::SendError;
use crate::locks::{lock, wait};

/// How long those who wait for another's snapshot sleep, before they look after their own streams.
const NAP: Duration = Duration::from_millis(50);

/// The last text, until something is published.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    /// The position, and the text of it; none while a thread makes that.
    last: Mutex<Option<(u64, Option<Arc<str>>)>>,
    made: Condvar,
}

impl Snapshots {
    /// The text for a position. Of many who want it at once one makes it.
    ///
    /// It calls the user's snapshot, so nothing may be locked. Those who wait for another's do `tick` meanwhile.
    pub(super) fn get(
        &self,
        settings: &Settings,
        position: u64,
        id: Option<&str>,
        mut tick: impl FnMut() -> Result<(), SendError>,
    ) -> Result<Arc<str>, SendError> {
        loop {
            let mut last = lock(&self.last);
            match &*last {
                Some((known, Some(text))) if *known == position => return Ok(Arc::clone(text)),
                Some((known, None)) if *known == position => drop(wait(&self.made, last, NAP)),
                _ => {
                    *last = Some((position, None));
                    break;
                }
            }
            tick()?;
        }
        let making = Making { snapshots: self, position };
        let mut text = String::new();
        if let Some(snapshot) = &settings.snapshot {
            snapshot(&mut text, id, &settings.formatting)?;
        }
        let text: Arc<str> = text.into();
        let mut last = lock(&self.last);
        if matches!(*last, Some((known, None)) if known == position) {
            *last = Some((position, Some(Arc::clone(&text))));
        }
        drop(last);
        drop(making);
        Ok(text)
    }

    /// Something was published: who comes now needs another than those of before that.
    pub(super) fn outdate(&self, position: u64) {
        let mut last = lock(&self.last);
        if matches!(*last, Some((known, Some(_))) if known < position) {
            *last = None;
        }
    }
}

/// A thread makes the text. However that ends, other threads need not wait for it any more.
struct Making<'s> {
    snapshots: &'s Snapshots,
    position: u64,
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        let mut last = lock(&self.snapshots.last);
        if matches!(*last, Some((known, None)) if known == self.position) {
            *last = None;
        }
        self.snapshots.made.notify_all();
    }
}
