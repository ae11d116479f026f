//! What a GDB server says of itself: features, the map of its memories, the architecture.

use quick_xml::events::{BytesStart, Event};

use super::packet::from_hex;
use super::wire::LONGEST;
use crate::image::layout::Memory;
use crate::model::snapshot::MemoryKind;
use crate::region::Region;

/// The packet size of a server that names none: GDB's own default for such servers is in this order.
const SMALL: usize = 400;
/// The least that makes sense: an address, a length, an answer of some words.
const LEAST: usize = 64;
/// The most elements of a document that are looked at.
const MOST_ELEMENTS: usize = 10_000;
/// What a map calls RAM is believed up to this size: OpenOCD calls all that is no flash RAM, up to the address space's end.
const MOST_RAM: u32 = 64 << 20;

/// The answer to `qSupported` (GDB manual, E.4 "General Query Packets").
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    /// Bytes of the largest packet that the server takes and sends.
    pub(super) packet: usize,
    /// `QStartNoAckMode`.
    pub(super) no_acks: bool,
    /// `QNonStop`.
    pub(super) non_stop: bool,
    /// `x` packets: memory as bytes and not as digits.
    pub(super) binary: bool,
    /// `qXfer:memory-map:read`.
    pub(super) memory_map: bool,
    /// `qXfer:features:read`.
    pub(super) features: bool,
}

impl Offer {
    pub(super) fn parse(answer: &[u8]) -> Self {
        let answer = String::from_utf8_lossy(answer);
        let mut offer =
            Self { packet: SMALL, no_acks: false, non_stop: false, binary: false, memory_map: false, features: false };
        for word in answer.split(';') {
            match word {
                "QStartNoAckMode+" => offer.no_acks = true,
                "QNonStop+" => offer.non_stop = true,
                "binary-upload+" => offer.binary = true,
                "qXfer:memory-map:read+" => offer.memory_map = true,
                "qXfer:features:read+" => offer.features = true,
                _ => {
                    if let Some(size) = word.strip_prefix("PacketSize=")
                        && let Ok(size) = usize::from_str_radix(size, 16)
                    {
                        offer.packet = size.clamp(LEAST, LONGEST / 2);
                    }
                }
            }
        }
        offer
    }

    /// Bytes of memory that one read asks for: the answer fits into a packet, whole words.
    pub(super) fn read_bytes(&self) -> u32 {
        // `$`, `#`, the sum, and the `b` of a binary answer, of which each byte may have to be escaped.
        let bytes = (self.packet - 8) / 2;
        u32::try_from(bytes).unwrap_or(u32::MAX) & !3
    }
}

/// The bytes of an answer to `m` or `x`; `None` when it is none.
pub(super) fn memory(answer: &[u8], binary: bool) -> Option<Vec<u8>> {
    match binary {
        true => answer.strip_prefix(b"b").map(<[u8]>::to_vec),
        false => from_hex(answer),
    }
}

/// The memories of a map (GDB manual, E.15 "Memory Map Format"); what makes no sense in it is left out.
pub(super) fn memories(xml: &str) -> Vec<Memory> {
    let mut found: Vec<Memory> = Vec::new();
    for element in elements(xml).iter().filter(|element| element.name().as_ref() == "memory") {
        let text = |name: &str| {
            let value = element.try_get_attribute(name).ok()??;
            Some(value.value.into_owned())
        };
        let number = |name: &str| {
            let text = text(name)?;
            match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
                Some(digits) => u32::from_str_radix(digits, 16).ok(),
                None => text.parse().ok(),
            }
        };
        let (Some(kind), Some(start), Some(size)) = (text("type"), number("start"), number("length")) else { continue };
        let (kind, name) = match kind.as_str() {
            "flash" | "rom" => (MemoryKind::Flash, "Flash"),
            "ram" if size <= MOST_RAM => (MemoryKind::Ram, "RAM"),
            _ => continue,
        };
        if size == 0 || u64::from(start) + u64::from(size) > 1 << 32 {
            continue;
        }
        let range = Region::new(start, size);
        if found.iter().any(|memory| memory.range.overlaps(range)) {
            continue;
        }
        match found.last_mut() {
            // Banks of one flash follow each other.
            Some(last) if last.kind == kind && last.range.end() == u64::from(start) => {
                last.range = last.range.hull(range);
            }
            _ => found.push(Memory { name: name.into(), kind, range, size_known: true }),
        }
    }
    found
}

/// What a target description calls the architecture, when it does.
pub(super) fn architecture(xml: &str) -> Option<String> {
    let mut reader = quick_xml::Reader::from_str(xml);
    let mut inside = false;
    for _ in 0..MOST_ELEMENTS {
        match reader.read_event().ok()? {
            Event::Start(element) => inside = element.name().as_ref() == "architecture",
            Event::Text(text) if inside => {
                return Some(crate::units::printable(text.trim(), 64));
            }
            Event::Eof => return None,
            _ => inside = false,
        }
    }
    None
}

/// All elements of a document, up to where it is damaged.
fn elements(xml: &str) -> Vec<BytesStart<'_>> {
    let mut reader = quick_xml::Reader::from_str(xml);
    let mut found = Vec::new();
    while found.len() < MOST_ELEMENTS {
        match reader.read_event() {
            Ok(Event::Start(element) | Event::Empty(element)) => found.push(element),
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_server_offers_is_taken_within_bounds() {
        // QEMU 7.2, OpenOCD 0.12, one that says nothing, and one that lies.
        for (answer, packet, read) in [
            ("PacketSize=1000;qXfer:features:read+;vContSupported+;multiprocess+", 0x1000, 2044),
            ("PacketSize=4000;qXfer:memory-map:read+;qXfer:features:read+;QStartNoAckMode+", 0x4000, 8188),
            ("", SMALL, 196),
            ("PacketSize=0", LEAST, 28),
            ("PacketSize=ffffffff", LONGEST / 2, 32_764),
            ("PacketSize=lots", SMALL, 196),
        ] {
            let offer = Offer::parse(answer.as_bytes());
            assert_eq!((offer.packet, offer.read_bytes()), (packet, read), "{answer}");
        }
        let all =
            Offer::parse(b"QStartNoAckMode+;QNonStop+;binary-upload+;qXfer:memory-map:read+;qXfer:features:read-");
        assert!(all.no_acks && all.non_stop && all.binary && all.memory_map && !all.features);
    }

    #[test]
    fn a_map_gives_flash_and_the_ram_that_is_believable() {
        let map = r#"<?xml version="1.0"?><!DOCTYPE memory-map PUBLIC "+//IDN gnu.org//DTD" "x.dtd"><memory-map>
            <memory type="ram" start="0x0" length="0x8000000"/>
            <memory type="flash" start="0x08000000" length="0x10000"><property name="blocksize">0x4000</property></memory>
            <memory type="flash" start="0x08010000" length="0xf0000"/>
            <memory type="ram" start="0x20000000" length="0x20000"/>
            <memory type="ram" start="0x20000000" length="0x20000"/>
            <memory type="ram" start="0x8100000" length="0xf7f00000"/>
            <memory type="flash" start="0xfffffff0" length="0x20"/>
            <memory type="flash" start="zero" length="4"/></memory-map>"#;
        let found: Vec<_> = memories(map).into_iter().map(|memory| (memory.name, memory.range)).collect();
        let expected = [("Flash", 0x0800_0000, 0x10_0000), ("RAM", 0x2000_0000, 0x2_0000)]
            .map(|(name, start, size)| (name.to_owned(), Region::new(start, size)));
        assert_eq!(found, expected);
        assert_eq!(memories("<memory-map><memory type=\"flash\" start=\"0\" leng"), []);
    }

    #[test]
    fn the_architecture_is_read_from_the_description() {
        let qemu =
            "<?xml version=\"1.0\"?><target><architecture>arm</architecture><xi:include href=\"a.xml\"/></target>";
        assert_eq!(architecture(qemu).as_deref(), Some("arm"));
        assert_eq!(architecture("<target><feature name=\"x\"/></target>"), None);
        assert_eq!(architecture("<target><architecture"), None);
    }

    proptest! {
        #[test]
        fn any_document_and_any_offer_is_survived(text in "\\PC{0,200}", cut in 0usize..60) {
            let map = "<memory type=\"flash\" start=\"0x8000000\" length=\"0x10000\"/>";
            let document = format!("{}{text}", &map[..cut.min(map.len())]);
            let _ = (memories(&document), architecture(&document));
            prop_assert!(Offer::parse(text.as_bytes()).read_bytes() >= 28);
        }
    }
}
