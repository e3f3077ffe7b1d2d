//! A body that comes in chunks (RFC 9112 §7.1).

use std::io::{self, ErrorKind};

/// Takes the body out of its chunks.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    line: String,
    /// How much of a chunk is to come, with the line end behind it.
    left: usize,
    pub(super) is_whole: bool,
}

impl Chunks {
    pub(super) fn feed(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        for &byte in bytes {
            if self.is_whole {
                break;
            }
            match self.left {
                0 => {
                    self.line.push(byte.into());
                    if self.line.ends_with("\r\n") {
                        let size = usize::from_str_radix(self.line.trim_end(), 16);
                        let size = size.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
                        self.is_whole = size == 0;
                        self.left = size.saturating_add(2);
                        self.line.clear();
                    }
                }
                left => {
                    body.extend((left > 2).then_some(byte));
                    self.left -= 1;
                }
            }
        }
        Ok(body)
    }
}
