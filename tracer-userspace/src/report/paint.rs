//! Colours for terminals: few, and never the only sign of anything.

use std::borrow::Cow;

use anstyle::{AnsiColor, Style};

/// Paints, or leaves everything as it is.
#[derive(Clone, Copy, Debug)]
pub struct Paint(pub bool);

impl Paint {
    /// A failure.
    pub fn bad<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.with(AnsiColor::Red.on_default(), text)
    }

    /// What may be otherwise.
    pub fn doubtful<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.with(AnsiColor::Yellow.on_default(), text)
    }

    /// What is to be seen first.
    pub fn strong<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.with(Style::new().bold(), text)
    }

    /// What is only there for the eye to follow.
    pub fn faint<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.with(Style::new().dimmed(), text)
    }

    /// Anything else.
    pub fn plain<'a>(&self, text: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(text)
    }

    fn with<'a>(&self, style: Style, text: &'a str) -> Cow<'a, str> {
        if self.0 && !text.is_empty() {
            format!("{style}{text}{style:#}").into()
        } else {
            Cow::Borrowed(text)
        }
    }
}
