//! Packets of the GDB remote serial protocol, byte by byte (GDB manual, appendix E.1 "Overview"): framing, checksum,
//! escapes and run-length. It does no I/O, and whatever comes in, it keeps no more than its limit.

/// The byte that says "the next one, exclusive-or 0x20".
const ESCAPE: u8 = b'}';
/// The byte that says "the last one, as many times more as the next byte tells".
const REPEAT: u8 = b'*';
/// What a repeat count has added to it, so that it can be printed.
const COUNT_BASE: u8 = 29;

/// What came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A packet whose checksum is right, with escapes and runs undone.
    Packet(Vec<u8>),
    /// The other side took the last packet.
    Ack,
    /// The other side wants the last packet again.
    Nack,
    /// What the other side tells by itself and nobody asked for (GDB manual, E.9 "Notification Packets").
    Notice(Vec<u8>),
    /// A packet that is none, and why.
    Damaged(&'static str),
}

/// Where in a packet the last byte was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Outside,
    Body,
    Escape,
    Repeat,
    Sum,
    SumLow(Option<u8>),
}

/// Takes bytes and gives packets.
#[derive(Clone, Debug)]
pub struct Decoder {
    limit: usize,
    at: At,
    body: Vec<u8>,
    sum: u8,
    notice: bool,
    damage: Option<&'static str>,
}

impl Decoder {
    /// A decoder that takes packets of at most `limit` bytes, runs spelled out.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, at: At::Outside, body: Vec::new(), sum: 0, notice: false, damage: None }
    }

    /// The next byte of the wire.
    pub fn push(&mut self, byte: u8) -> Option<Incoming> {
        match (self.at, byte) {
            (At::Outside, b'+') => return Some(Incoming::Ack),
            (At::Outside, b'-') => return Some(Incoming::Nack),
            // Neither can stand in a body: what came before was cut off.
            (At::Outside | At::Body | At::Escape | At::Repeat, b'$') => self.begin(false),
            (At::Outside, b'%') => self.begin(true),
            (At::Outside, _) => {}
            (At::Body, b'#') => self.at = At::Sum,
            (At::Escape | At::Repeat, b'#') => {
                self.damage = Some("it ends in the middle of an escape or a run");
                self.at = At::Sum;
            }
            (At::Body, ESCAPE) => self.within(byte, At::Escape),
            (At::Body, REPEAT) => self.within(byte, At::Repeat),
            (At::Body, _) => {
                self.within(byte, At::Body);
                self.keep(byte, 1);
            }
            (At::Escape, _) => {
                self.within(byte, At::Body);
                self.keep(byte ^ 0x20, 1);
            }
            (At::Repeat, _) => {
                self.within(byte, At::Body);
                match (self.body.last().copied(), byte) {
                    (Some(last), b' '..=b'~') => self.keep(last, usize::from(byte - COUNT_BASE)),
                    _ => self.damage = Some("a run has no length or nothing to repeat"),
                }
            }
            (At::Sum, _) => self.at = At::SumLow(hex_digit(byte)),
            (At::SumLow(high), _) => return self.end(high.zip(hex_digit(byte))),
        }
        None
    }

    fn begin(&mut self, notice: bool) {
        self.body.clear();
        self.sum = 0;
        self.notice = notice;
        self.damage = None;
        self.at = At::Body;
    }

    fn within(&mut self, byte: u8, next: At) {
        self.sum = self.sum.wrapping_add(byte);
        self.at = next;
    }

    fn keep(&mut self, byte: u8, times: usize) {
        if self.body.len() + times > self.limit {
            self.damage = Some("it is longer than was agreed");
            return;
        }
        self.body.resize(self.body.len() + times, byte);
    }

    fn end(&mut self, sum: Option<(u8, u8)>) -> Option<Incoming> {
        self.at = At::Outside;
        let body = std::mem::take(&mut self.body);
        let wrong = sum.map(|(high, low)| high << 4 | low) != Some(self.sum);
        let damage = self.damage.take().or_else(|| wrong.then_some("its checksum is wrong"));
        match (damage, self.notice) {
            (None, false) => Some(Incoming::Packet(body)),
            (None, true) => Some(Incoming::Notice(body)),
            (Some(why), false) => Some(Incoming::Damaged(why)),
            // It is told again, and asking for it again would ask for the last packet.
            (Some(_), true) => None,
        }
    }
}

/// A packet as it goes over the wire. What is asked here needs no escapes: it is printable text without `#`, `$`, `}`.
#[must_use]
pub fn encode(body: &str) -> Vec<u8> {
    let sum = body.bytes().fold(0u8, u8::wrapping_add);
    format!("${body}#{sum:02x}").into_bytes()
}

/// The bytes that pairs of hexadecimal digits stand for; `None` when they are no such pairs.
#[must_use]
pub fn from_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(hex_digit(*high)? << 4 | hex_digit(*low)?));
    bytes.collect::<Option<Vec<u8>>>().filter(|_| rest.is_empty())
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 256;

    fn decode(bytes: &[u8]) -> Vec<Incoming> {
        let mut decoder = Decoder::new(LIMIT);
        bytes.iter().filter_map(|byte| decoder.push(*byte)).collect()
    }

    /// `body` as it is on the wire, with the right sum behind it.
    fn framed(body: &[u8]) -> Vec<u8> {
        let sum = body.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        [b"$", body, format!("#{sum:02x}").as_bytes()].concat()
    }

    #[test]
    fn packets_are_told_from_what_is_around_them() {
        let packet = |body: &[u8]| Incoming::Packet(body.to_vec());
        for (bytes, expected) in [
            (b"$OK#9a".as_slice(), vec![packet(b"OK")]),
            (b"+$OK#9a-", vec![Incoming::Ack, packet(b"OK"), Incoming::Nack]),
            (b"noise$#00", vec![packet(b"")]),
            // The manual's own example: `0* ` is four zeros.
            (&framed(b"0* "), vec![packet(b"0000")]),
            (&framed(b"b}\x03}\x04}]}\x0a"), vec![packet(b"b#$}*")]),
            (b"$cut off$OK#9A", vec![packet(b"OK")]),
            (b"%Stop:T05#00$OK#9a", vec![packet(b"OK")]),
            (b"$OK#9b", vec![Incoming::Damaged("its checksum is wrong")]),
            (b"$OK#zz", vec![Incoming::Damaged("its checksum is wrong")]),
            (&framed(b"* "), vec![Incoming::Damaged("a run has no length or nothing to repeat")]),
            (&framed(b"0*\x07"), vec![Incoming::Damaged("a run has no length or nothing to repeat")]),
            (&framed(b"0}"), vec![Incoming::Damaged("it ends in the middle of an escape or a run")]),
            (&framed(&[b'a'; LIMIT + 1]), vec![Incoming::Damaged("it is longer than was agreed")]),
            (&framed(b"0*~*~*~"), vec![Incoming::Damaged("it is longer than was agreed")]),
        ] {
            assert_eq!(decode(bytes), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn what_is_sent_is_what_the_manual_says() {
        assert_eq!(encode("m20000000,4"), b"$m20000000,4#4f");
        assert_eq!(from_hex(b"00fFa0"), Some(vec![0, 0xff, 0xa0]));
        assert_eq!((from_hex(b"0"), from_hex(b"0x")), (None, None));
    }

    proptest! {
        #[test]
        fn whatever_comes_in_is_bounded_and_the_next_packet_is_found(noise in prop::collection::vec(any::<u8>(), 0..600)) {
            let mut decoder = Decoder::new(LIMIT);
            for byte in &noise {
                if let Some(Incoming::Packet(body)) = decoder.push(*byte) {
                    prop_assert!(body.len() <= LIMIT);
                }
            }
            // Two of them: the first may end what the noise began.
            let found: Vec<_> = b"#00$OK#9a".iter().filter_map(|byte| decoder.push(*byte)).collect();
            prop_assert_eq!(found.last(), Some(&Incoming::Packet(b"OK".to_vec())));
        }

        #[test]
        fn any_bytes_come_through_escaped(bytes in prop::collection::vec(any::<u8>(), 0..LIMIT)) {
            let mut body = Vec::new();
            for byte in &bytes {
                match byte {
                    b'#' | b'$' | b'}' | b'*' => body.extend([b'}', byte ^ 0x20]),
                    _ => body.push(*byte),
                }
            }
            prop_assert_eq!(decode(&framed(&body)), vec![Incoming::Packet(bytes)]);
        }
    }
}
