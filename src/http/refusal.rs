//! Why a request is refused before a handler sees it, and the status that says so.

use std::fmt;

use super::Status;

/// One reason each; the text is what the client and the operator read, and holds nothing that the client sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    RequestLine,
    MethodTooLong,
    Version,
    Target,
    TargetTooLong,
    LineEnd,
    ControlByte,
    FieldLine,
    FieldTooLarge,
    TooManyFields,
    HeadTooLarge,
    Host,
    ContentLength,
    Framing,
    Coding,
    Chunk,
    Expectation,
    TraceBody,
    Connect,
    BodyTooLarge,
    HeadTruncated,
    BodyTruncated,
    HeadDeadline,
    BodyDeadline,
}

impl Refusal {
    pub(crate) fn status(self) -> Status {
        match self {
            Self::RequestLine
            | Self::Target
            | Self::LineEnd
            | Self::ControlByte
            | Self::FieldLine
            | Self::Host
            | Self::ContentLength
            | Self::Framing
            | Self::Chunk
            | Self::TraceBody
            | Self::HeadTruncated
            | Self::BodyTruncated => Status::BAD_REQUEST,
            Self::HeadDeadline | Self::BodyDeadline => Status::REQUEST_TIMEOUT,
            Self::BodyTooLarge => Status::CONTENT_TOO_LARGE,
            Self::TargetTooLong => Status::URI_TOO_LONG, // RFC 9112 §3
            Self::Expectation => Status::EXPECTATION_FAILED, // RFC 9110 §10.1.1
            Self::FieldTooLarge | Self::TooManyFields | Self::HeadTooLarge => {
                Status::REQUEST_HEADER_FIELDS_TOO_LARGE // RFC 6585 §5
            }
            Self::MethodTooLong | Self::Connect | Self::Coding => Status::NOT_IMPLEMENTED, // RFC 9112 §3, §6.1
            Self::Version => Status::HTTP_VERSION_NOT_SUPPORTED,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::RequestLine => "the request line is malformed",
            Self::MethodTooLong => "the method is longer than any known one",
            Self::Version => "only HTTP/1.0 and HTTP/1.1 are spoken here",
            Self::Target => "the request target is malformed",
            Self::TargetTooLong => "the request target is too long",
            Self::LineEnd => "a line does not end with CR LF",
            Self::ControlByte => "the head holds a control byte",
            Self::FieldLine => "a field line is malformed",
            Self::FieldTooLarge => "a field line is too long",
            Self::TooManyFields => "there are too many field lines",
            Self::HeadTooLarge => "the head is too large",
            Self::Host => "the Host field is missing, repeated or malformed",
            Self::ContentLength => "the Content-Length is repeated or not a number",
            Self::Framing => "the framing of the body is ambiguous",
            Self::Coding => "the transfer coding is not implemented",
            Self::Chunk => "the chunked body is malformed",
            Self::Expectation => "the expectation cannot be met",
            Self::TraceBody => "a TRACE request must not have a body",
            Self::Connect => "this server is not a proxy",
            Self::BodyTooLarge => "the body is too large",
            Self::HeadTruncated => "the head ended too early",
            Self::BodyTruncated => "the body ended too early",
            Self::HeadDeadline => "the head did not arrive in time",
            Self::BodyDeadline => "the body did not arrive in time",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
