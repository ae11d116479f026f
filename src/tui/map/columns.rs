//! In which columns a schematic figure draws what: bars of one figure all start and end in the same ones.

use ratatui::layout::Rect;

use crate::units;

/// The columns of a figure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
    pub(super) narrow: bool,
    pub(super) address: u16,
    pub(super) frame_left: u16,
    pub(super) frame_right: Option<u16>,
    pub(super) heap_left: u16,
    pub(super) name: u16,
    pub(super) nested: u16,
    pub(super) size_end: u16,
    pub(super) arrow: Option<u16>,
    pub(super) bar: u16,
    pub(super) bar_width: u16,
    pub(super) chip: u16,
}

impl Columns {
    /// Of the figure of RAM.
    pub(crate) fn ram(area: Rect, narrow: bool) -> Self {
        let x = area.x;
        if narrow {
            let field = if area.width >= 48 { 18 } else { 14 };
            let bar = x + 11 + field;
            return Self {
                narrow,
                address: x,
                frame_left: x + 5,
                frame_right: None,
                heap_left: x + 6,
                name: x + 8,
                nested: x + 8,
                size_end: x + 8 + field,
                arrow: Some(x + 9 + field),
                bar,
                bar_width: area.right().saturating_sub(bar + 7),
                chip: area.right().saturating_sub(6),
            };
        }
        let field = if area.width >= 84 { 23 } else { 20 };
        let right = area.right().saturating_sub(1);
        let bar = x + 16 + field;
        let bar_width = right.saturating_sub(bar + 12);
        Self {
            narrow,
            address: x,
            frame_left: x + 10,
            frame_right: Some(right),
            heap_left: x + 12,
            name: x + 13,
            nested: x + 15,
            size_end: x + 13 + field,
            arrow: Some(x + 14 + field),
            bar,
            bar_width,
            chip: bar + bar_width + 1,
        }
    }

    /// Of the figure of flash, which has no levels.
    pub(crate) fn flash(area: Rect, narrow: bool) -> Self {
        let right = area.right().saturating_sub(1);
        let bar_width = if narrow { 0 } else { (area.width / 5).saturating_sub(2).min(9) };
        let bar = right.saturating_sub(1 + bar_width);
        let (frame_left, name) = if narrow { (area.x + 5, area.x + 7) } else { (area.x + 10, area.x + 12) };
        Self {
            narrow,
            address: area.x,
            frame_left,
            frame_right: (!narrow).then_some(right),
            heap_left: frame_left + 1,
            name,
            nested: name + 2,
            size_end: if narrow { area.right() } else { bar.saturating_sub(2) },
            arrow: None,
            bar,
            bar_width,
            chip: area.right(),
        }
    }

    pub(super) fn address_text(&self, address: u64) -> String {
        let text = units::address(address);
        if self.narrow { text[text.len() - 4..].to_owned() } else { text }
    }
}
