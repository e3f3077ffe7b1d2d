//! Why connections and streams end: one list for the log, for the statistics and for the code that decides by it.

use std::fmt;

use super::rows::rows;

rows! {
    /// Why a connection, or the stream on it, ended.
    ///
    /// ```
    /// assert_eq!(brooklet::CloseReason::PeerClosed.to_string(), "peer closed");
    /// ```
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum CloseReason: &'static str {
        /// The client closed its side.
        PeerClosed = "peer closed";
        /// The connection broke: a reset, or an error of the network.
        Reset = "connection reset";
        /// The client did not take what was sent within the write deadline.
        WriteDeadline = "write deadline passed";
        /// The client went on sending after its request for a stream.
        UnexpectedInput = "unexpected input";
        /// The host is stopping.
        Stopped = "host stopped";
        /// The generator sent [`retry`](crate::EventConnection::retry).
        Retry = "sent away to retry";
        /// The generator sent [`finish`](crate::EventConnection::finish).
        Finished = "finished";
        /// The generator returned.
        Returned = "generator returned";
        /// The generator returned an error.
        Failed = "generator failed";
        /// The generator panicked.
        Panicked = "generator panicked";
        /// A [`StreamHandle`](crate::StreamHandle) has ended it.
        Ended = "ended by a handle";
        /// The stream has reached the [`max_age`](crate::EventSource::max_age) of its source, or its
        /// [own](crate::EventConnection::max_age).
        MaxAge = "maximum age reached";
        /// The client fell behind what its channel keeps, and is to come back: for a snapshot, or for what only its
        /// generator has.
        Lagged = "lagged behind";
        /// The stream was handed to a channel, and goes on there.
        HandedOver = "handed to a channel";
    }
}

impl CloseReason {
    /// How many there are: a table has a row for each, at `reason as usize`.
    pub(crate) const COUNT: usize = Self::ROWS.len();

    /// All of them in their order.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::ROWS.iter().map(|(reason, _)| *reason)
    }

    /// The number of a reason in an atomic, where 0 is none.
    pub(super) fn number(self) -> u8 {
        self as u8 + 1
    }

    pub(super) fn from_number(number: u8) -> Option<Self> {
        Self::ROWS.get(usize::from(number).wrapping_sub(1)).map(|(reason, _)| *reason)
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for reason in CloseReason::all() {
            assert_eq!(CloseReason::from_number(reason.number()), Some(reason));
        }
        assert_eq!(CloseReason::from_number(0), None);
        assert_eq!(CloseReason::from_number(1 + CloseReason::COUNT as u8), None);
    }
}
