//! Why a request is refused before a handler sees it, and the status that says so.

use super::rows::rows;
use super::Status;

rows! {
    /// A reason each, with its status and the text that the client and the operator read. The text holds nothing that
    /// the client sent.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Refusal: (Status, &'static str) {
        // RFC 9112 §2 and §3, the request line
        RequestLine = (Status::BAD_REQUEST, "the request line is malformed");
        MethodTooLong = (Status::NOT_IMPLEMENTED, "the method is longer than any known one");
        Version = (Status::HTTP_VERSION_NOT_SUPPORTED, "only HTTP/1.0 and HTTP/1.1 are spoken here");
        Target = (Status::BAD_REQUEST, "the request target is malformed"); // §3.2
        TargetByte = (Status::BAD_REQUEST, "the request target holds a byte that has to be percent-encoded"); // §3.2
        TargetTooLong = (Status::URI_TOO_LONG, "the request target is too long");
        LineEnd = (Status::BAD_REQUEST, "a line does not end with CR LF"); // §2.2
        ControlByte = (Status::BAD_REQUEST, "the head holds a control byte"); // RFC 9110 §5.5

        // RFC 9112 §5, the field lines; RFC 6585 §5 where there is too much of them
        FieldLine = (Status::BAD_REQUEST, "a field line is malformed");
        TooManyFields = (Status::REQUEST_HEADER_FIELDS_TOO_LARGE, "there are too many field lines");
        HeadTooLarge = (Status::REQUEST_HEADER_FIELDS_TOO_LARGE, "the head is larger than Limits::max_head");
        Host = (Status::BAD_REQUEST, "the Host field is missing, repeated or malformed"); // §3.2

        // RFC 9112 §6 and §7, the framing of the body
        ContentLength = (Status::BAD_REQUEST, "the Content-Length is repeated or not a number"); // §6.2
        Framing = (Status::BAD_REQUEST, "the framing of the body is ambiguous"); // §6.3
        Coding = (Status::NOT_IMPLEMENTED, "the transfer coding is not implemented"); // §6.1
        Chunk = (Status::BAD_REQUEST, "the chunked body is malformed"); // §7.1

        // RFC 9110, what is asked for
        Expectation = (Status::EXPECTATION_FAILED, "the expectation cannot be met"); // §10.1.1
        TraceBody = (Status::BAD_REQUEST, "a TRACE request must not have a body"); // §9.3.8
        Connect = (Status::NOT_IMPLEMENTED, "this server is not a proxy"); // §9.3.6
        BodyTooLarge = (Status::CONTENT_TOO_LARGE, "the body is larger than Limits::max_body"); // §15.5.14
        // §15.6.4
        BodyMemory = (Status::SERVICE_UNAVAILABLE, "there is no memory for this body now, or Limits::max_bodies is reached");

        // RFC 9112 §8 where it ends too early, RFC 9110 §15.5.9 where it takes too long
        HeadTruncated = (Status::BAD_REQUEST, "the head ended too early");
        BodyTruncated = (Status::BAD_REQUEST, "the body ended too early");
        HeadDeadline = (Status::REQUEST_TIMEOUT, "the head did not arrive within Limits::head_deadline");
        BodyDeadline = (Status::REQUEST_TIMEOUT, "the body did not arrive within Limits::body_deadline");
    }
}
