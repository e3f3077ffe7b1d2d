//! Events whose bytes have to be the same on every processor.

use std::time::Duration;

use brooklet::{Event, EventConnection};

pub(crate) fn numbers(connection: &mut EventConnection) -> brooklet::Result {
    connection.data([0, 1, 1 << 32, (1 << 53) + 1, u64::MAX])?;
    connection.data([i64::MIN, -1, i64::MAX])?;
    connection.data([u128::from(u64::MAX) + 1, u128::MAX])?;
    connection.data([
        0.1 + 0.2,
        -0.0,
        1e21,
        1e-7,
        5e-324,
        f64::MIN_POSITIVE,
        f64::MAX,
        f64::NAN,
        1.0 / 3.0,
    ])?;
    connection.data([0.1_f32, 16_777_216.0, f32::MAX, f32::MIN_POSITIVE, f32::EPSILON])?;
    connection.data("漢字 🦀\r\nnew line, \u{2028} none")?;
    for id in [u64::from(u32::MAX), 1 << 32, u64::MAX] {
        connection.send(Event::new(id).id(id.to_string()).event_type("größe"))?;
    }
    connection.send(Event::new(true).id("é漢🦀").retry(Duration::from_millis(1 << 40)))?;
    Ok(connection.finish()?)
}
