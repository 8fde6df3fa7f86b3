//! Finding the words that matter on a command line: which one is the script, which ones are values of options.
//!
//! Nobody can know every option of every program. Where an option is not known, the choice is made so that a value
//! is rather skipped than shown: a name that says less is better than a name that says somebody's password.

/// How a program reads its options.
#[derive(Clone, Copy, Debug)]
pub struct Grammar {
    /// Options whose value is the next word.
    pub with_value: &'static [&'static str],
    /// Options known to stand alone.
    pub alone: &'static [&'static str],
    /// What an option in neither list does.
    pub unknown: Unknown,
}

/// What is assumed of an option that is in no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It stands alone. Right for interpreters, whose options are known and few.
    Alone,
    /// It takes the next word. Right for servers, whose options nearly all do.
    TakesValue,
}

/// Whether a word is an option (`-` alone means standard input and is a word).
pub fn is_option(word: &str) -> bool {
    word.len() > 1 && word.starts_with('-')
}

impl Grammar {
    /// Positions of the words that are neither options nor values of options.
    pub fn positionals<'a>(&'a self, args: &'a [String]) -> impl Iterator<Item = (usize, &'a str)> + 'a {
        let mut skip = false;
        let mut only_words = false;
        args.iter().enumerate().filter_map(move |(at, word)| {
            let word = word.as_str();
            if std::mem::take(&mut skip) {
                return None;
            }
            if only_words || !is_option(word) {
                return (!word.is_empty()).then_some((at, word));
            }
            if word == "--" {
                only_words = true;
            } else {
                skip = self.takes_next(word);
            }
            None
        })
    }

    /// Whether the option's value is the next word.
    fn takes_next(&self, option: &str) -> bool {
        if option.contains('=') {
            return false;
        }
        if self.with_value.contains(&option) {
            return true;
        }
        if self.alone.contains(&option) || self.unknown == Unknown::Alone {
            return false;
        }
        // `-w4`: the value is attached.
        let attached = !option.starts_with("--") && option.len() > 2;
        !attached && !option.starts_with("--no-")
    }
}

/// The value of an option, in either form: `--name value` or `--name=value`.
pub fn value_of<'a>(args: &'a [String], names: &[&str]) -> Option<&'a str> {
    let mut words = args.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            return None;
        }
        for name in names {
            if word == name {
                return words.next().map(String::as_str);
            }
            if let Some(value) = word.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) {
                return Some(value);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn found(grammar: Grammar, line: &str) -> Vec<String> {
        grammar.positionals(&words(line)).map(|(_, word)| word.to_owned()).collect()
    }

    #[test]
    fn interpreters_take_unknown_options_to_stand_alone() {
        let grammar = Grammar { with_value: &["-r"], alone: &[], unknown: Unknown::Alone };
        assert_eq!(found(grammar, "-r dotenv --inspect server.js --x y"), ["server.js", "y"]);
        assert_eq!(found(grammar, "-- -x"), ["-x"]);
        assert_eq!(found(grammar, "-"), ["-"]);
    }

    #[test]
    fn servers_take_unknown_options_to_have_a_value() {
        let grammar = Grammar { with_value: &[], alone: &["--reload"], unknown: Unknown::TakesValue };
        assert_eq!(found(grammar, "--password hunter2 --reload front:app"), ["front:app"]);
        assert_eq!(found(grammar, "-w4 --bind=0:1 --no-access-log front:app"), ["front:app"]);
        assert_eq!(found(grammar, "--last"), [""; 0]);
    }

    #[test]
    fn values_in_both_forms() {
        assert_eq!(value_of(&words("-a --app hello run"), &["--app", "-A"]), Some("hello"));
        assert_eq!(value_of(&words("--app=hello run"), &["--app"]), Some("hello"));
        assert_eq!(value_of(&words("--apple hello"), &["--app"]), None);
        assert_eq!(value_of(&words("x -- --app hello"), &["--app"]), None);
        assert_eq!(value_of(&words("--app"), &["--app"]), None);
    }
}
