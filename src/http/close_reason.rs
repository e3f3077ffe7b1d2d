//! Why connections and streams end: one list for the log, the statistics and whoever has to decide.

use std::fmt;

/// Why a connection, or the stream on it, ended.
///
/// ```
/// assert_eq!(brooklet::CloseReason::PeerClosed.to_string(), "peer closed");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum CloseReason {
    /// The client closed its side.
    PeerClosed = 1,
    /// The connection broke: a reset, or an error of the network.
    Reset,
    /// The client did not take what was sent within the write deadline.
    WriteDeadline,
    /// The client went on sending after its request for a stream.
    UnexpectedInput,
    /// The host is stopping.
    Stopped,
    /// The generator sent [`retry`](crate::EventConnection::retry).
    Retry,
    /// The generator sent [`finish`](crate::EventConnection::finish).
    Finished,
    /// The generator returned.
    Returned,
    /// The generator returned an error.
    Failed,
    /// The generator panicked.
    Panicked,
    /// The stream was as old as its source lets it become.
    MaxAge,
    /// The client fell behind what its channel keeps, and is to come back for a snapshot.
    Lagged,
    /// The stream was handed to a channel, and goes on there.
    HandedOver,
}

impl CloseReason {
    /// All of them, in the order of their numbers, which begin with 1.
    pub(crate) const ALL: [Self; 13] = [
        Self::PeerClosed,
        Self::Reset,
        Self::WriteDeadline,
        Self::UnexpectedInput,
        Self::Stopped,
        Self::Retry,
        Self::Finished,
        Self::Returned,
        Self::Failed,
        Self::Panicked,
        Self::MaxAge,
        Self::Lagged,
        Self::HandedOver,
    ];

    pub(super) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::PeerClosed => "peer closed",
            Self::Reset => "connection reset",
            Self::WriteDeadline => "write deadline passed",
            Self::UnexpectedInput => "unexpected input",
            Self::Stopped => "host stopped",
            Self::Retry => "sent away to retry",
            Self::Finished => "finished",
            Self::Returned => "generator returned",
            Self::Failed => "generator failed",
            Self::Panicked => "generator panicked",
            Self::MaxAge => "maximum age reached",
            Self::Lagged => "lagged behind",
            Self::HandedOver => "handed to a channel",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for reason in CloseReason::ALL {
            assert_eq!(CloseReason::from_number(reason as u8), Some(reason));
        }
        assert_eq!(CloseReason::from_number(0), None);
        assert_eq!(CloseReason::from_number(1 + CloseReason::ALL.len() as u8), None);
    }
}
