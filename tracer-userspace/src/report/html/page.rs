//! The page: its frame, styles and scripts, and the data between.

use base64::prelude::{BASE64_STANDARD, Engine};
use sha2::{Digest, Sha256};

/// Libraries that others wrote; assets/report/README.md tells which.
const LIBRARIES: [&str; 2] = [
    include_str!("../../../assets/report/vendor/dagre-3.1.3.min.js"),
    include_str!("../../../assets/report/vendor/uPlot-1.6.32.iife.min.js"),
];

/// Our own, in the order in which they build on each other.
const SCRIPTS: &[&str] = &[
    include_str!("../../../assets/report/base.js"),
    include_str!("../../../assets/report/data.js"),
    include_str!("../../../assets/report/list.js"),
    include_str!("../../../assets/report/evidence.js"),
    include_str!("../../../assets/report/overview.js"),
    include_str!("../../../assets/report/map.js"),
    include_str!("../../../assets/report/charts.js"),
    include_str!("../../../assets/report/operations.js"),
    include_str!("../../../assets/report/traces.js"),
    include_str!("../../../assets/report/span.js"),
    include_str!("../../../assets/report/trace.js"),
    include_str!("../../../assets/report/main.js"),
];

const STYLES: [&str; 2] = [
    include_str!("../../../assets/report/vendor/uPlot-1.6.32.min.css"),
    include_str!("../../../assets/report/report.css"),
];

/// The page with what it carries.
pub(super) fn assemble(source: &str, main: &str, candidates: &str, blocks: &[String]) -> Vec<u8> {
    let style = STYLES.join("\n");
    // Names of one file are seen in the others, and nowhere else.
    let own = format!("(() => {{\n\"use strict\";\n{}\n}})();\n", SCRIPTS.join("\n"));
    let scripts: Vec<String> =
        LIBRARIES.iter().map(|library| without_source_map(library)).chain([own]).collect();
    let allowed: Vec<String> = scripts.iter().map(|script| hash(script)).collect();
    let data: usize = main.len() + candidates.len() + blocks.iter().map(String::len).sum::<usize>();
    let mut page = String::with_capacity(data + 300_000);
    page.push_str("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    // Nothing is fetched, nothing is sent, and no script runs but these: whatever stands in the traces.
    page.push_str(&format!(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src {}; style-src {}; \
         base-uri 'none'; form-action 'none'\">\n",
        allowed.join(" "),
        hash(&style)
    ));
    page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.push_str("<meta name=\"color-scheme\" content=\"light dark\">\n");
    page.push_str(&format!(
        "<title>{} – tracer report</title>\n<style>{style}</style>\n</head>\n<body>\n",
        escape(source)
    ));
    page.push_str(
        "<div id=\"app\"><p class=\"opening\">Opening the report… (It needs JavaScript.)</p></div>\n",
    );
    page.push_str(&format!("<script type=\"text/plain\" id=\"main\">{main}</script>\n"));
    page.push_str(&format!("<script type=\"text/plain\" id=\"candidates\">{candidates}</script>\n"));
    for (number, block) in blocks.iter().enumerate() {
        page.push_str(&format!("<script type=\"text/plain\" id=\"block{number}\">{block}</script>\n"));
    }
    for script in &scripts {
        page.push_str(&format!("<script>{script}</script>\n"));
    }
    page.push_str("</body>\n</html>\n");
    page.into_bytes()
}

/// Without the name of a file that is not there, for which debuggers would ask.
fn without_source_map(library: &str) -> String {
    let lines: Vec<&str> = library.lines().filter(|line| !line.starts_with("//# sourceMappingURL")).collect();
    lines.join("\n")
}

/// As a Content-Security-Policy names a script or a style.
fn hash(text: &str) -> String {
    format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text.as_bytes())))
}

/// Text within HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_scripts_and_styles_ends_them_early_or_fetches() {
        for text in LIBRARIES.iter().chain(SCRIPTS).chain(&STYLES) {
            for bad in ["</script", "</style", "<!--", "\r", "innerHTML", "eval(", "@import", "url("] {
                // What is drawn once may be named again within the page.
                let text = text.replace("url(#", "");
                assert!(!text.contains(bad), "{bad} in {}", &text[..40]);
            }
        }
    }

    #[test]
    fn what_others_wrote_is_unchanged() {
        let told = include_str!("../../../assets/report/README.md");
        for text in LIBRARIES.iter().chain(&STYLES[..1]) {
            let digest: String =
                Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(told.contains(&digest), "{} has {digest}", &text[..60]);
        }
    }

    #[test]
    fn the_title_is_text() {
        let page =
            String::from_utf8(assemble("<script>alert(1)</script>&\"", "eA==", "eA==", &["eA==".to_owned()]))
                .unwrap();
        assert!(
            page.contains("<title>&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot; – tracer report</title>")
        );
        assert_eq!(page.matches("<script").count(), 3 + LIBRARIES.len() + 1);
    }
}
