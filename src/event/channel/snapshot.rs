//! The text of the snapshot: made once for a position, and shared by all clients that join at it.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::data::Formatting;
use crate::event::wire::SendError;
use crate::locks::{lock, wait};

/// A thread that waits for the text that another makes looks after its own stream this often.
const LOOK: Duration = Duration::from_millis(50);

/// Writes the event, with this id.
type Make = dyn Fn(&mut String, Option<&str>, &Formatting) -> Result<(), SendError> + Send + Sync;

/// What makes the text, and the last text, until something is published.
pub(super) struct Snapshots {
    make: Box<Make>,
    /// The position, and the text of it; none while a thread makes that.
    last: Mutex<Option<(u64, Option<Arc<str>>)>>,
    made: Condvar,
}

impl Snapshots {
    pub(super) fn new(make: Box<Make>) -> Self {
        Self { make, last: Mutex::default(), made: Condvar::new() }
    }

    /// The text for a position. If several threads want it at once, one makes it, and the others wait and call `tick`.
    ///
    /// It calls the user's snapshot, so the caller holds no lock.
    pub(super) fn get(
        &self,
        formatting: &Formatting,
        position: u64,
        id: Option<&str>,
        mut tick: impl FnMut() -> Result<(), SendError>,
    ) -> Result<Arc<str>, SendError> {
        loop {
            let mut last = lock(&self.last);
            match &*last {
                Some((known, Some(text))) if *known == position => return Ok(Arc::clone(text)),
                Some((known, None)) if *known == position => drop(wait(&self.made, last, LOOK)),
                _ => {
                    *last = Some((position, None));
                    break;
                }
            }
            tick()?;
        }
        let mut making = Making { snapshots: self, position, text: None };
        let mut text = String::new();
        (self.make)(&mut text, id, formatting)?;
        let text: Arc<str> = text.into();
        making.text = Some(Arc::clone(&text));
        Ok(text)
    }

    /// An event was published: clients that join now need a new text.
    pub(super) fn outdate(&self, position: u64) {
        let mut last = lock(&self.last);
        if matches!(*last, Some((known, Some(_))) if known < position) {
            *last = None;
        }
    }
}

/// A thread makes the text. However that ends, it wakes the threads that wait for it.
struct Making<'s> {
    snapshots: &'s Snapshots,
    position: u64,
    /// When it is made.
    text: Option<Arc<str>>,
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        let mut last = lock(&self.snapshots.last);
        if matches!(*last, Some((known, None)) if known == self.position) {
            *last = self.text.take().map(|text| (self.position, Some(text)));
        }
        self.snapshots.made.notify_all();
    }
}
