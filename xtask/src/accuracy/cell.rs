//! The cells of the measurement, and choosing some.

use std::fmt;

use anyhow::{Context, Result, bail};
use tracer_tests::accuracy::load::Load;
use tracer_tests::accuracy::service::{self, Service};
use tracer_tests::accuracy::shape::Shape;

/// What is recorded at once. Its name is `SERVICE-SHAPE-LOAD`.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// Who serves.
    pub service: &'static Service,
    /// What a request does.
    pub shape: Shape,
    /// How requests arrive.
    pub load: Load,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.service.name, self.shape.name(), self.load)
    }
}

impl Cell {
    /// From its name.
    pub fn parse(name: &str) -> Option<Self> {
        let (rest, load) = name.rsplit_once('-')?;
        let (service, shape) = rest.rsplit_once('-')?;
        Some(Self {
            service: service::ALL.iter().find(|one| one.name == service)?,
            shape: Shape::ALL.into_iter().find(|one| one.name() == shape)?,
            load: Load::parse(load)?,
        })
    }
}

/// The cells that fit; an empty list means no restriction. Fails for words that fit nothing.
pub fn chosen(services: &[String], shapes: &[String], loads: &[String]) -> Result<Vec<Cell>> {
    let services: Vec<&Service> = choose(service::ALL.iter().collect(), services, |one| one.name.to_owned())?;
    let shapes = choose(Shape::ALL.to_vec(), shapes, |one| one.name().to_owned())?;
    let loads = if loads.is_empty() {
        Load::ALL.to_vec()
    } else {
        let load = |text: &String| Load::parse(text).with_context(|| format!("{text} is no load"));
        loads.iter().map(load).collect::<Result<_>>()?
    };
    let mut cells = Vec::new();
    for &service in &services {
        for &shape in &shapes {
            cells.extend(loads.iter().map(|&load| Cell { service, shape, load }));
        }
    }
    Ok(cells)
}

fn choose<T>(all: Vec<T>, words: &[String], name: impl Fn(&T) -> String) -> Result<Vec<T>> {
    if let Some(unknown) = words.iter().find(|word| !all.iter().any(|one| fits(&name(one), word))) {
        let names: Vec<String> = all.iter().map(&name).collect();
        bail!("{unknown} is none of {}", names.join(", "));
    }
    Ok(all.into_iter().filter(|one| words.is_empty() || words.iter().any(|word| fits(&name(one), word))).collect())
}

/// `python-*` means all whose names begin like that, anything else is a whole name.
fn fits(name: &str, word: &str) -> bool {
    match word.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_is_found_by_its_name() {
        for cell in chosen(&[], &[], &[]).unwrap() {
            assert_eq!(Cell::parse(&cell.to_string()).unwrap().to_string(), cell.to_string());
        }
        assert!(Cell::parse("node-sockets8-sequential-8").is_some());
        assert!(Cell::parse("node-nonsense-8").is_none());
    }

    #[test]
    fn words_that_fit_nothing_are_refused() {
        let words = |text: &str| vec![text.to_owned()];
        assert_eq!(chosen(&words("node"), &words("fanout"), &words("8")).unwrap().len(), 1);
        assert!(chosen(&words("cobol"), &[], &[]).is_err());
        assert!(chosen(&[], &[], &words("many")).is_err());
    }
}
