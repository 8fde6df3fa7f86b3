//! Tags, compactly: which names a span's tags have is said once for all spans that have the same, and so is each text.

use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::spans::Value;

/// A longer text is cut, bytes of its JSON. Statements have 8 KiB at most.
const MAX_TEXT: usize = 16 << 10;
/// More tags of one span are left out.
const MAX_TAGS: usize = 250;
/// Larger whole numbers are no numbers in a browser.
const MAX_WHOLE: u64 = 1 << 53;

/// The value of a tag: a number, or the number of a text.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Cell {
    /// A text of [`Tags::texts`], by its number.
    Text(u32),
    Int(i64),
    Float(f64),
}

/// The texts and shapes of a block.
#[derive(Debug, Default)]
pub(super) struct Tags {
    /// JSON, each.
    texts: Vec<String>,
    numbers: FxHashMap<String, u32>,
    /// For each tag the number of its name, twice; and one more if its value is a number.
    shapes: Vec<Vec<u32>>,
    by_shape: FxHashMap<Vec<u32>, u32>,
    bytes: usize,
}

impl Tags {
    /// The shape of a span's tags, and their values.
    pub fn add(&mut self, tags: &[(std::borrow::Cow<'_, str>, Value<'_>)]) -> (u32, Vec<Cell>) {
        let mut shape = Vec::with_capacity(tags.len());
        let mut cells = Vec::with_capacity(tags.len());
        for (name, value) in tags.iter().take(MAX_TAGS) {
            let cell = self.cell(value);
            let is_number = !matches!(cell, Cell::Text(_));
            shape.push(self.plain(name) * 2 + u32::from(is_number));
            cells.push(cell);
        }
        if let Some(more @ 1..) = tags.len().checked_sub(MAX_TAGS) {
            shape.push(self.plain("…") * 2);
            cells.push(Cell::Text(self.plain(&format!("{more} more tags in the file"))));
        }
        let next = self.shapes.len() as u32;
        let number = *self.by_shape.entry(shape.clone()).or_insert(next);
        if number == next {
            self.shapes.push(shape);
        }
        (number, cells)
    }

    fn cell(&mut self, value: &Value<'_>) -> Cell {
        match value {
            Value::Int(number) if number.unsigned_abs() <= MAX_WHOLE => Cell::Int(*number),
            Value::Int(number) => Cell::Text(self.plain(&number.to_string())),
            Value::Float(number) => Cell::Float(*number),
            other => Cell::Text(self.text(other)),
        }
    }

    /// The number of a text.
    pub fn plain(&mut self, text: &str) -> u32 {
        self.text(&Value::Text(text.into()))
    }

    fn text(&mut self, value: &Value<'_>) -> u32 {
        let mut text = json(value).to_string();
        if text.len() > MAX_TEXT {
            // Of a list or a map what it looks like in the file.
            let shown = value.text().unwrap_or(&text);
            let kept = shown.get(..shown.floor_char_boundary(MAX_TEXT)).unwrap_or_default();
            text = serde_json::Value::from(format!("{kept}… (cut here; the file has all of it)")).to_string();
        }
        if let Some(number) = self.numbers.get(&text) {
            return *number;
        }
        let number = self.texts.len() as u32;
        self.numbers.insert(text.clone(), number);
        self.bytes += text.len();
        self.texts.push(text);
        number
    }

    /// Bytes of all texts.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// All texts, as a JSON array.
    pub fn texts_json(&self) -> String {
        format!("[{}]", self.texts.join(","))
    }

    pub fn shapes(&self) -> &[Vec<u32>] {
        &self.shapes
    }
}

fn json(value: &Value<'_>) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(number) if number.unsigned_abs() <= MAX_WHOLE => (*number).into(),
        Value::Int(number) => number.to_string().into(),
        Value::Float(number) => (*number).into(),
        Value::Text(text) => text.as_ref().into(),
        Value::List(list) => list.iter().map(json).collect(),
        Value::Map(map) => map
            .iter()
            .map(|(name, value)| (name.to_string(), json(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_names_are_one_shape_and_the_same_texts_one_text() {
        let mut tags = Tags::default();
        let span = |method: &'static str, status| {
            [
                ("http.method".into(), Value::Text(method.into())),
                ("http.status_code".into(), Value::Int(status)),
            ]
        };
        let (one, cells) = tags.add(&span("GET", 200));
        let (other, _) = tags.add(&span("GET", 500));
        assert_eq!((one, other, tags.shapes().len()), (0, 0, 1));
        assert_eq!(cells[1], Cell::Int(200));
        assert_eq!(tags.texts_json(), r#"["GET","http.method","http.status_code"]"#);
    }

    #[test]
    fn what_a_browser_would_garble_is_text_and_long_texts_are_cut() {
        let mut tags = Tags::default();
        let long = "ü".repeat(MAX_TEXT);
        let (_, cells) = tags.add(&[
            ("big".into(), Value::Int(i64::MIN)),
            ("exact".into(), Value::Int(-(1 << 53))),
            ("list".into(), Value::List(vec![Value::Null, Value::Bool(true), Value::Float(0.5)])),
            ("long".into(), Value::Text(long.as_str().into())),
        ]);
        let texts: Vec<serde_json::Value> = serde_json::from_str(&tags.texts_json()).unwrap();
        let text = |at: usize| match cells[at] {
            Cell::Text(number) => texts[number as usize].clone(),
            Cell::Int(_) | Cell::Float(_) => panic!("{:?} is a number", cells[at]),
        };
        assert_eq!(text(0), "-9223372036854775808");
        assert_eq!(cells[1], Cell::Int(-(1 << 53)));
        assert_eq!(text(2), serde_json::json!([null, true, 0.5]));
        let cut = text(3);
        assert!(cut.as_str().unwrap().starts_with("üü") && cut.as_str().unwrap().ends_with("all of it)"));
        assert!(cut.as_str().unwrap().len() < MAX_TEXT + 100);
    }

    #[test]
    fn too_many_tags_are_counted() {
        let all: Vec<_> = (0..MAX_TAGS + 3).map(|at| (format!("t{at}").into(), Value::Null)).collect();
        let mut tags = Tags::default();
        assert_eq!(tags.add(&all).1.len(), MAX_TAGS + 1);
        assert!(tags.texts_json().contains("3 more tags"));
    }
}
