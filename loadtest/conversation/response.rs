//! HTTP responses as they arrive, cut anywhere (RFC 9112).

use fanwire_wire::error::RequestError;
use fanwire_wire::http::{BodyDecoder, BodyLength};
use fanwire_wire::limits::{MAX_EPOCH_BYTES, MAX_HEAD_BYTES, MAX_HEADERS};
use httparse::{EMPTY_HEADER, Header, Status};

use super::error::BadResponse;

/// What is needed of the head of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResponseHead {
    pub(super) status: u16,
    /// The position to ask from next, as `EPOCH:OFFSET`.
    pub(super) position: Option<String>,
    pub(super) content_type: String,
    /// Whether the connection ends with this response.
    pub(super) is_last: bool,
    /// How many octets it has.
    pub(super) octets: usize,
}

/// A part of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    Head(ResponseHead),
    /// Some of the body.
    Body(&'a [u8]),
    /// The response is whole. One without a length has no such part: it lasts as long as the connection.
    End,
}

/// Reads one response after the other. It holds no body: how much of one is too much is for those to say who keep it.
#[derive(Debug)]
pub(super) struct ResponseReader {
    phase: Phase,
    /// What was in the last piece of chunks.
    decoded: Vec<u8>,
}

#[derive(Debug)]
enum Phase {
    /// What came of the head.
    Head(Vec<u8>),
    Body(Body),
}

#[derive(Debug)]
enum Body {
    /// So many octets are still to come.
    Length(u64),
    Chunked(BodyDecoder),
    UntilClose,
}

impl Default for ResponseReader {
    fn default() -> Self {
        Self { phase: Phase::Head(Vec::new()), decoded: Vec::new() }
    }
}

impl ResponseReader {
    /// Whether the beginning of a head has come, and not the rest.
    pub(super) fn is_within_head(&self) -> bool {
        matches!(&self.phase, Phase::Head(begun) if !begun.is_empty())
    }

    /// Takes the next part from the front of `input`; none if there is nothing left to take.
    ///
    /// The end of a body without octets is a part too: call this until it gives none, also when `input` is empty.
    pub(super) fn read<'r, 'i: 'r>(
        &'r mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Part<'r>>, BadResponse> {
        let body = match &mut self.phase {
            Phase::Head(begun) => {
                let Some((head, body)) = read_head(begun, input)? else { return Ok(None) };
                self.phase = Phase::Body(body);
                return Ok(Some(Part::Head(head)));
            }
            Phase::Body(body) => body,
        };
        let piece = match body {
            Body::Length(0) => return Ok(Some(self.end())),
            Body::Length(left) => {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= length as u64;
                take_front(input, length)
            }
            Body::UntilClose => take_front(input, input.len()),
            Body::Chunked(decoder) => {
                self.decoded.clear();
                let taken = decoder.decode(input, &mut self.decoded).map_err(chunk_error)?;
                take_front(input, taken);
                if self.decoded.is_empty() && decoder.is_done() {
                    return Ok(Some(self.end()));
                }
                &self.decoded
            }
        };
        Ok((!piece.is_empty()).then_some(Part::Body(piece)))
    }

    fn end(&mut self) -> Part<'static> {
        *self = Self::default();
        Part::End
    }
}

fn take_front<'i>(input: &mut &'i [u8], length: usize) -> &'i [u8] {
    let (front, rest) = input.split_at(length);
    *input = rest;
    front
}

fn chunk_error(error: RequestError) -> BadResponse {
    match error {
        RequestError::BodyTooLarge { .. } => BadResponse::BodyTooLarge,
        RequestError::ChunkFramingTooLarge => BadResponse::HeadTooLarge,
        _ => BadResponse::BadChunk,
    }
}

/// Takes a head from the front of `input`, of which `begun` has come before, and with it interim responses in front
/// (RFC 9110 §15.2); none if it is not complete.
fn read_head(begun: &mut Vec<u8>, input: &mut &[u8]) -> Result<Option<(ResponseHead, Body)>, BadResponse> {
    while !input.is_empty() {
        let before = begun.len();
        let more = &input[..input.len().min(MAX_HEAD_BYTES - before)];
        let octets = if before == 0 {
            more
        } else {
            begun.extend_from_slice(more);
            &begun[..]
        };
        let Some((head, body)) = parse_head(octets)? else {
            if octets.len() == MAX_HEAD_BYTES {
                return Err(BadResponse::HeadTooLarge);
            }
            if before == 0 {
                begun.extend_from_slice(more);
            }
            *input = &[];
            break;
        };
        take_front(input, head.octets - before);
        *begun = Vec::new();
        if !is_interim(head.status) {
            return Ok(Some((head, body)));
        }
    }
    Ok(None)
}

/// Whether another response follows this one. After a 101 what follows is no HTTP.
fn is_interim(status: u16) -> bool {
    (100..200).contains(&status) && status != 101
}

fn parse_head(octets: &[u8]) -> Result<Option<(ResponseHead, Body)>, BadResponse> {
    let mut room = [EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut room);
    let length = match parsed.parse(octets) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(BadResponse::HeadTooLarge),
        Err(_) => return Err(BadResponse::Malformed),
    };
    let status = parsed.code.ok_or(BadResponse::Malformed)?;
    let fields = Fields(parsed.headers);
    if fields.elements("Content-Encoding").any(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return Err(BadResponse::Encoded);
    }
    let body = body_of(status, &fields)?;
    let keeps_alive = if parsed.version == Some(0) {
        fields.has_token("Connection", "keep-alive")
    } else {
        !fields.has_token("Connection", "close")
    };
    let head = ResponseHead {
        status,
        position: position(&fields),
        content_type: fields.first("Content-Type").unwrap_or_default().to_owned(),
        is_last: !keeps_alive || matches!(body, Body::UntilClose),
        octets: length,
    };
    Ok(Some((head, body)))
}

/// How the end of the body is found (RFC 9112 §6.3).
fn body_of(status: u16, fields: &Fields<'_>) -> Result<Body, BadResponse> {
    if matches!(status, 100..200 | 204 | 304) {
        return Ok(Body::Length(0));
    }
    let mut encodings = fields.elements("Transfer-Encoding");
    let mut lengths = fields.all("Content-Length").flat_map(|value| value.split(',')).map(str::trim_ascii);
    match (encodings.next(), lengths.next()) {
        (Some(_), Some(_)) => Err(BadResponse::BadLength),
        (Some(encoding), None) if encoding.eq_ignore_ascii_case("chunked") && encodings.next().is_none() => {
            // How large a body may be is for those to say who keep it.
            BodyDecoder::new(BodyLength::Chunked, usize::MAX).map(Body::Chunked).map_err(chunk_error)
        }
        (Some(_), None) => Err(BadResponse::UnknownTransferEncoding),
        (None, Some(length)) => {
            // A sign would be taken for a part of the number.
            let is_number = length.bytes().all(|byte| byte.is_ascii_digit());
            let octets = length.parse().ok().filter(|_| is_number && lengths.all(|other| other == length));
            octets.map(Body::Length).ok_or(BadResponse::BadLength)
        }
        (None, None) => Ok(Body::UntilClose),
    }
}

/// The position to ask from next. It goes into a request, so that nothing may be in it that would need an escape.
fn position(fields: &Fields<'_>) -> Option<String> {
    let epoch = fields.first("Fanwire-Epoch")?;
    let is_plain = epoch.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let offset: u64 = fields.first("Fanwire-Offset")?.parse().ok()?;
    (is_plain && (1..=MAX_EPOCH_BYTES).contains(&epoch.len())).then(|| format!("{epoch}:{offset}"))
}

/// The header fields of a response.
struct Fields<'a>(&'a [Header<'a>]);

impl<'a> Fields<'a> {
    fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
        named.filter_map(|field| str::from_utf8(field.value).ok())
    }

    fn first(&self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// The elements of a list in one or several fields (RFC 9110 §5.6.1).
    fn elements(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.all(name)
            .flat_map(|value| value.split(','))
            .map(str::trim_ascii)
            .filter(|element| !element.is_empty())
    }

    fn has_token(&self, name: &str, token: &str) -> bool {
        self.elements(name).any(|element| element.eq_ignore_ascii_case(token))
    }
}

#[cfg(test)]
mod tests;
