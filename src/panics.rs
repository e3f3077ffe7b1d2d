//! Catching the panics of user code, in one place and to the end.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::panic::{catch_unwind, AssertUnwindSafe};

/// A panic, as an error that can be logged.
#[derive(Debug)]
pub(crate) struct Panic(String);

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.0)
    }
}

impl Error for Panic {}

/// Runs `call` and turns a panic into an error.
///
/// The caller must not use what `call` was changing when it panicked, other than to end it. With
/// `panic = "abort"` nothing is caught: the program ends.
pub(crate) fn catch<T>(call: impl FnOnce() -> T) -> Result<T, Panic> {
    catch_unwind(AssertUnwindSafe(call)).map_err(Panic::of)
}

impl Panic {
    fn of(payload: Box<dyn Any + Send>) -> Self {
        let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
            (Some(text), _) => text,
            (_, Some(text)) => text.as_str(),
            _ => "a payload that is no text",
        };
        let panic = Self(message.to_owned());
        // A payload's own destructor may panic as well.
        let dropped = catch_unwind(AssertUnwindSafe(move || drop(payload)));
        std::mem::forget(dropped);
        panic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_become_text() {
        let said = |call: fn()| catch(call).map_err(|panic| panic.to_string());
        assert_eq!(said(|| {}), Ok(()));
        assert_eq!(said(|| panic!("plain")), Err(String::from("panicked: plain")));
        assert_eq!(said(|| panic!("number {}", 1)), Err(String::from("panicked: number 1")));
    }

    #[test]
    fn a_payload_that_panics_when_dropped() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        let caught = catch(|| std::panic::panic_any(Bomb));
        assert_eq!(caught.map_err(|panic| panic.0), Err::<(), _>(String::from("a payload that is no text")));
    }
}
