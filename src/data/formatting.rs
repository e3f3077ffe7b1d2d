//! Texts of one's own for values of some types.

use std::any::{Any, TypeId};
use std::fmt;

type Format = Box<dyn Fn(&dyn Any) -> Option<String> + Send + Sync>;

/// What the values of some types look like in one source's events, in place of [`Data`](crate::Data)'s own rules.
///
/// The type of the closure's argument is what is overridden, wherever it occurs: alone, behind references, in
/// lists, maps and structs. The last closure for a type counts. Inside JSON the text becomes a string, but stays
/// a number where the type is a number and the text reads as one.
///
/// ```
/// use brooklet::{testing::Client, EventSource, Formatting};
///
/// let formatting = Formatting::new()
///     .add(|price: &f64| format!("{price:.2}"))
///     .add(|done: &bool| String::from(if *done { "yes" } else { "no" }));
///
/// let source = EventSource::new(|connection| {
///     connection.data(42.1)?;
///     connection.data(vec![1.0, 2.5])?;
///     Ok(connection.data(Some(true))?)
/// });
/// let stream = Client::get("/").in_memory(&source.formatting(formatting)).run();
/// assert_eq!(stream.timeline(), ["0s message: 42.10", "0s message: [1.00,2.50]", "0s message: yes"]);
/// ```
///
/// What can be overridden: numbers, `bool`, `char`, `String` (for all strings), `SystemTime`, `Duration`,
/// addresses, structs of [`json_object!`](crate::json_object), and types of your own whose
/// [`Data::write`](crate::Data::write) asks [`Writer::overridden`](crate::Writer::overridden).
#[derive(Default)]
pub struct Formatting {
    /// Few: a look at each is as quick as any map.
    formats: Vec<(TypeId, Format)>,
}

impl Formatting {
    /// No overrides: every value as [`Data`](crate::Data) says.
    pub fn new() -> Self {
        Self::default()
    }

    /// Overrides the text of values of type `T`.
    ///
    /// A panic in `format` ends the stream as a panic of the generator does.
    ///
    /// ```
    /// use brooklet::{testing::Client, EventSource, Formatting};
    /// use std::time::Duration;
    ///
    /// let source = EventSource::new(|connection| Ok(connection.data(Duration::from_secs(2))?));
    /// let source = source.formatting(Formatting::new().add(|pause: &Duration| format!("{} ms", pause.as_millis())));
    /// assert_eq!(Client::get("/").in_memory(&source).run().timeline(), ["0s message: 2000 ms"]);
    /// ```
    #[must_use]
    #[allow(clippy::should_implement_trait)] // it adds, but no sum
    pub fn add<T: Any>(mut self, format: impl Fn(&T) -> String + Send + Sync + 'static) -> Self {
        let type_id = TypeId::of::<T>();
        self.formats.retain(|(known, _)| *known != type_id);
        self.formats.push((type_id, Box::new(move |value| value.downcast_ref().map(&format))));
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.formats.is_empty()
    }

    pub(super) fn text(&self, value: &dyn Any) -> Option<String> {
        let type_id = value.type_id();
        let (_, format) = self.formats.iter().find(|(known, _)| *known == type_id)?;
        format(value)
    }
}

impl fmt::Debug for Formatting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Formatting").field("types", &self.formats.len()).finish()
    }
}
