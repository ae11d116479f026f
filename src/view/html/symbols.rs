//! Who owns the memory, as a page: treemaps, and every symbol in a table that can be searched.

use serde::Serialize;

use super::SCRIPT;
use super::shell::{Code, Page, text};
use super::table::Side::{Number, Text};
use super::table::{size, table, words};
use crate::inventory::listing::{ListedMemory, Listing, Row};
use crate::inventory::tree::Node;
use crate::units;
use crate::view::treemap;

/// The most rows of one page.
pub const MOST_ROWS: usize = 5000;

/// What the script reads.
#[derive(Serialize)]
struct Data {
    schema: &'static str,
    /// The bytes of each row of the table.
    bytes: Vec<u64>,
}

/// The page of a tree and the rows behind it, both kept to what has `filter` in it; ended by a line break. What is free
/// has no row.
#[must_use]
pub fn page(root: &Node, listing: &Listing, filter: &str) -> String {
    let filter = filter.to_lowercase();
    let has = |text: Option<&str>| text.is_some_and(|text| text.to_lowercase().contains(&filter));
    let matches = |row: &&Row| {
        filter.is_empty()
            || [Some(row.name.as_str()), row.module.as_deref(), row.section.as_deref()].into_iter().any(has)
    };
    let mut rows: Vec<&Row> = listing.rows.iter().filter(|row| row.kind != "free").filter(matches).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.size));
    let all = rows.len();
    rows.truncate(MOST_ROWS);

    let mut body = format!("<header>\n<h1>{}</h1>\n<p class=\"about\">who owns the memory", text(&listing.elf));
    if !filter.is_empty() {
        body += &format!(", of what has <code>{}</code> in it", text(&filter));
    }
    body += "</p>\n</header>\n<main>\n";
    let columns = [("memory", Text), ("from", Number), ("size", Number), ("in use", Number)];
    let memories: Vec<_> = listing.memories.iter().map(memory).collect();
    body += &table("memories", "Every memory", &columns, &memories);
    body +=
        "<section aria-labelledby=\"tree-title\">\n<h2 id=\"tree-title\">Areas are bytes</h2>\n<div class=\"tree\">\n";
    body += &treemap::canvases(root);
    body += "</div>\n</section>\n<section aria-labelledby=\"symbols-head\">\n<h2 id=\"symbols-head\">Symbols</h2>\n";
    if all > rows.len() {
        body += &format!(
            "<p>The largest {} of {all} are on this page; <code>--filter</code> picks others.</p>\n",
            rows.len()
        );
    }
    body += "<p class=\"search\"><label for=\"search\">Search</label> <input type=\"search\" id=\"search\" \
             placeholder=\"name, module, section\" aria-controls=\"symbols\" autocomplete=\"off\" disabled> \
             <output id=\"found\" for=\"search\"></output> <kbd>/</kbd></p>\n";
    let columns = [
        ("name", Text),
        ("size", Number),
        ("module", Text),
        ("section", Text),
        ("memory", Text),
        ("from", Number),
        ("kind", Text),
    ];
    body +=
        &table("symbols", "Functions, statics and what else has an owner, the largest first", &columns, &cells(&rows));
    body += "</section>\n</main>\n";
    let data = Data { schema: "highwater/page@1", bytes: rows.iter().map(|row| row.size).collect() };
    // Numbers can always be written.
    let data = serde_json::to_string(&data).unwrap_or_default();
    let title = format!("{}: who owns the memory", listing.elf);
    Page { title: &title, body: &body, code: Some(Code { script: SCRIPT, data: &data }) }.text()
}

fn memory(memory: &ListedMemory) -> Vec<String> {
    let share =
        units::percent(memory.used, memory.size).map_or_else(String::new, |share| format!(" <b>{share}&nbsp;%</b>"));
    let used = format!("{}{share}", size(memory.used));
    vec![text(&memory.name), units::address(memory.start), size(memory.size), used]
}

fn cells(rows: &[&Row]) -> Vec<Vec<String>> {
    let cells = |row: &&Row| {
        let copy = if row.stored_copy { ", stored values" } else { "" };
        vec![
            text(&row.name),
            size(row.size),
            words(row.module.as_deref()),
            words(row.section.as_deref()),
            text(&row.memory),
            units::address(row.start),
            format!("{}{copy}", text(&row.kind)),
        ]
    };
    rows.iter().map(cells).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::Region;

    fn row(name: &str, size: u64, kind: &str) -> Row {
        Row {
            memory: "Flash".into(),
            section: Some(".text".into()),
            kind: kind.into(),
            name: name.into(),
            module: None,
            module_kind: None,
            start: 0,
            size,
            stored_copy: false,
            content: None,
        }
    }

    fn made(rows: Vec<Row>, filter: &str) -> String {
        let root = Node {
            name: "a.elf".into(),
            level: None,
            flash: 0,
            ram: 0,
            free: 0,
            things: 0,
            is_code: false,
            first: Region::new(0, 0),
            run: None,
            children: Vec::new(),
        };
        let listing =
            Listing { schema: String::new(), elf: "a.elf".into(), memories: Vec::new(), sections: Vec::new(), rows };
        page(&root, &listing, filter)
    }

    #[test]
    fn rows_are_largest_first_and_their_bytes_are_embedded() {
        let page = made(vec![row("small", 4, "function"), row("none", 9, "free"), row("</td><b>", 40, "static")], "");
        assert!(page.contains("{\"schema\":\"highwater/page@1\",\"bytes\":[40,4]}"), "{page}");
        let (large, small) = (page.find("&lt;/td&gt;&lt;b&gt;"), page.find(">small<"));
        assert!(large.is_some() && large < small && !page.contains(">none<"));
        assert!(!made(vec![row("small", 4, "function")], "XY").contains(">small<"));
        assert!(made(vec![row("axyb", 4, "function")], "XY").contains(">axyb<"));
    }

    #[test]
    fn of_too_many_rows_the_largest_are_there_and_the_page_says_so() {
        let rows = (0..=MOST_ROWS as u64).map(|size| row("a", size, "function")).collect();
        let page = made(rows, "");
        assert_eq!(page.matches("<th scope=\"row\">a</th>").count(), MOST_ROWS);
        assert!(page.contains("The largest 5000 of 5001 are on this page"));
    }
}
