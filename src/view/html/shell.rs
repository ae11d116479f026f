//! What every page has around its content: the head, the policy, the style, the textures.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::units;
use crate::view::svg;

/// How the pages look.
const STYLE: &str = include_str!("page.css");

/// What is not the same on every page.
pub(super) struct Page<'a> {
    /// The title, as plain text.
    pub(super) title: &'a str,
    /// What is between the head and the foot, as markup.
    pub(super) body: &'a str,
    /// What makes the page answer, where anything does.
    pub(super) code: Option<Code<'a>>,
}

/// A script with the data that it works on.
pub(super) struct Code<'a> {
    /// The script.
    pub(super) script: &'a str,
    /// What it reads, as JSON; see [`data`].
    pub(super) data: &'a str,
}

impl Page<'_> {
    /// The document.
    pub(super) fn text(&self) -> String {
        let script = self.code.as_ref().map_or_else(|| "'none'".to_owned(), |code| hash(code.script));
        let style = hash(STYLE);
        let code = self.code.as_ref().map_or_else(String::new, |code| {
            format!(
                "<script type=\"application/json\" id=\"data\">{}</script>\n<script>{}</script>\n",
                data(code.data),
                code.script
            )
        });
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src {style}; \
             script-src {script}; base-uri 'none'; form-action 'none'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta name=\"generator\" content=\"highwater {version}\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
             <svg class=\"textures\" width=\"0\" height=\"0\" aria-hidden=\"true\">{patterns}</svg>\n\
             {body}<footer>Written by highwater {version}. All of this page is in this one file: it loads nothing.</footer>\n\
             {code}</body>\n</html>\n",
            version = env!("CARGO_PKG_VERSION"),
            title = text(self.title),
            patterns = svg::PATTERNS,
            body = self.body,
        )
    }
}

/// A source of a Content-Security-Policy that allows these bytes and no others.
fn hash(content: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(content.as_bytes())))
}

/// JSON that stays where it is put: a script element ends at `</script`, and `<!--` changes what ends it (HTML, "Restrictions
/// for contents of script elements"). In JSON these are in texts alone, which may be written in another way.
fn data(json: &str) -> String {
    json.replace("</", "<\\/").replace("<!", "\\u003c!")
}

/// Text from a target or a file as markup that shows it and does nothing else.
pub(super) fn text(text: &str) -> String {
    svg::escape(&units::printable(text, 400)).replace('\'', "&#39;")
}
