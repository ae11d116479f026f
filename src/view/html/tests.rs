use super::*;
use crate::model::Model;
use crate::model::snapshot::{MemoryKind, MemoryMap, Part, PartKind, Snapshot, Victim};
use crate::model::testing;
use crate::region::Region;

/// What a firmware might call a thread to get out of wherever its name is put.
const HOSTILE: &str = "</script><img src=x onerror=alert(1)>\"'&\u{202e}\x1b";

fn part(name: &str, kind: PartKind, start: u32, size: u32) -> Part {
    Part {
        id: format!("part {name}"),
        name: name.into(),
        kind,
        range: Region::new(start, size),
        is_static: true,
        is_room: false,
        stack: None,
        heap: None,
        parts: Vec::new(),
    }
}

/// A RAM with one stack and what lies below it.
fn report(name: &str) -> Report {
    let mut stack = testing::stack(name, 400);
    stack.range = Region::new(0x2000_0400, 1000);
    stack.victim = Some(Victim { name: name.into(), is: Some(name.into()), range: Region::new(0x2000_0000, 0x400) });
    let ram = MemoryMap {
        name: name.into(),
        kind: MemoryKind::Ram,
        range: Region::new(0x2000_0000, 0x400 + 1000),
        size_known: true,
        parts: vec![part(name, PartKind::Bss, 0x2000_0000, 0x400), part("stack", PartKind::Stack, 0x2000_0400, 1000)],
    };
    let mut snapshot = Snapshot { stacks: vec![stack], memories: vec![ram], ..testing::live(1) };
    snapshot.target.elf = name.into();
    snapshot.hints = vec![name.into()];
    Report::new(&Model::new(snapshot))
}

/// The tags of a page, each from its `<` to its `>`; quotes may hold either sign only escaped.
fn tags(page: &str) -> Vec<&str> {
    page.split('<').skip(1).map(|rest| rest.split('>').next().unwrap_or_default()).collect()
}

#[test]
fn a_hostile_name_stays_text() {
    let calm = page(&report("calm"));
    let evil = page(&report(HOSTILE));
    assert!(evil.contains("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;??"), "{evil}");
    let names = |page: &str| {
        tags(page).iter().map(|tag| tag.split([' ', '\n']).next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&evil), names(&calm), "the name makes no element and ends none");
    assert!(evil.chars().all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')));
}

#[test]
fn nothing_on_the_page_points_outside() {
    let page = page(&report("calm"));
    for word in ["http://", "https://", "src=", "href=", "@import", "url(\"", "//cdn"] {
        assert!(!page.contains(word), "{word}");
    }
    let policy = page.lines().find(|line| line.contains("Content-Security-Policy")).expect("it has a policy");
    assert!(
        policy.contains("default-src 'none'; style-src 'sha256-") && policy.contains("script-src 'none'"),
        "{policy}"
    );
    assert!(!page.contains("style=\""), "the policy forbids styles in attributes");
    assert!(!page.contains("<script"), "a page of one moment has no script");
}

#[test]
fn every_table_can_be_read_aloud() {
    let page = page(&report("calm"));
    assert!(page.matches("<table").count() >= 2);
    assert_eq!(page.matches("<table").count(), page.matches("<caption").count());
    assert!(page.contains("<html lang=\"en\">") && page.contains("<main>") && page.contains("<h1>calm</h1>"));
    assert!(page.contains("role=\"img\" aria-label=\"calm: its regions"), "{page}");
    for row in page.lines().filter(|line| line.starts_with("<tr><t") && !line.contains("scope=\"col\"")) {
        assert!(row.starts_with("<tr><th scope=\"row\""), "{row}");
    }
}

#[test]
fn figures_are_those_of_the_report_with_what_they_are_worth() {
    let report = report("calm");
    let page = page(&report);
    let row =
        page.lines().find(|line| line.contains("<th scope=\"row\">calm <small>user")).expect("the stack has a row");
    for expected in
        ["1000&nbsp;B", "400&nbsp;B <b>40&nbsp;%</b> <small>exact</small>", "600&nbsp;B <small>exact</small>"]
    {
        assert!(row.contains(expected), "{expected}: {row}");
    }
    assert!(row.contains("<td class=\"n\"><span class=\"none\" title=\"not known\">–</span></td>"), "{row}");
    for region in &report.regions {
        let expected = format!("<td class=\"n\">{}&nbsp;B</td>", region.size);
        assert!(page.contains(&expected), "{expected}");
    }
}
