//! The options about links, the same for `record` and `analyze`.

use std::path::PathBuf;

use clap::Args;

use crate::trace::Settings;

/// How sure links must be.
#[derive(Args, Clone, Debug)]
pub struct LinkArgs {
    /// Name a parent only where it is at least so sure, from 0 to 1; a span without one names its candidates
    #[arg(long, value_name = "SHARE", default_value_t = Settings::default().min_confidence, value_parser = share,
          help_heading = "Links")]
    pub min_confidence: f32,
    /// Let another capture of the same services, best of a quieter time, help to find the links
    #[arg(long, value_name = "FILE", help_heading = "Links")]
    pub learned: Option<PathBuf>,
}

impl LinkArgs {
    /// As the engine takes it.
    pub fn settings(&self) -> Settings {
        Settings { min_confidence: self.min_confidence }
    }
}

/// A number from 0 to 1.
fn share(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("give a number from 0 to 1, such as 0.95".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shares_are_taken() {
        assert_eq!((share("0.95"), share("1"), share("0")), (Ok(0.95), Ok(1.0), Ok(0.0)));
        for bad in ["", "95", "95%", "-0.1", "1.01", "nan", "inf"] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }
}
