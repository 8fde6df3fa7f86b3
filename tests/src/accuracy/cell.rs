//! The cells of the measurement, and choosing some.

use std::fmt;

use anyhow::{Context, Result, bail};

use super::load::Load;
use super::service::{self, Service};
use super::shape::Shape;

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

/// Which cells are wanted. An empty list stands for all of its kind.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Names of services, or beginnings of names with `*` at the end.
    pub services: Vec<String>,
    /// Names of shapes.
    pub shapes: Vec<String>,
    /// Names of loads.
    pub loads: Vec<String>,
    /// Where neither shapes nor loads are named: all of them, and not only the standard ones.
    pub full: bool,
}

impl Choice {
    /// The cells, service by service. Fails for words that fit nothing.
    pub fn cells(&self) -> Result<Vec<Cell>> {
        let services =
            choose(service::ALL.iter().collect(), &self.services, |one: &&Service| one.name.to_owned())?;
        let shapes = choose(Shape::ALL.to_vec(), &self.shapes, |one| one.name().to_owned())?;
        let loads = if self.loads.is_empty() {
            Load::ALL.to_vec()
        } else {
            let load = |text: &String| Load::parse(text).with_context(|| format!("{text} is no load"));
            self.loads.iter().map(load).collect::<Result<_>>()?
        };
        let standard = !self.full && self.shapes.is_empty() && self.loads.is_empty();
        let mut cells = Vec::new();
        for &service in &services {
            for &shape in &shapes {
                let fits = |load: &&Load| !standard || is_standard(shape, **load);
                cells.extend(loads.iter().filter(fits).map(|&load| Cell { service, shape, load }));
            }
        }
        Ok(cells)
    }
}

/// The standard cells: two calls in sequence under every load, everything else with 32 requests in flight.
fn is_standard(shape: Shape, load: Load) -> bool {
    shape == Shape::Sequential || load == Load::Closed(32)
}

/// The cells that are kept as fixtures: every service at two loads, and every shape on one service of each kind.
pub fn fixtures() -> Vec<Cell> {
    const KINDS: [&str; 6] = ["python-threads", "node", "go", "asyncio", "tokio-tasks", "java-executor"];
    let mut cells = Vec::new();
    for service in service::ALL {
        let sequential =
            [8, 32].map(|open| Cell { service, shape: Shape::Sequential, load: Load::Closed(open) });
        cells.extend(sequential);
        if KINDS.contains(&service.name) {
            let others = Shape::ALL.into_iter().filter(|&shape| shape != Shape::Sequential);
            cells.extend(others.map(|shape| Cell { service, shape, load: Load::Closed(8) }));
            cells.push(Cell { service, shape: Shape::Sequential, load: Load::Poisson });
        }
    }
    cells.retain(|cell| cell.service.lacks(cell.shape).is_none());
    cells
}

fn choose<T>(all: Vec<T>, words: &[String], name: impl Fn(&T) -> String) -> Result<Vec<T>> {
    if let Some(unknown) = words.iter().find(|word| !all.iter().any(|one| fits(&name(one), word))) {
        let names: Vec<String> = all.iter().map(&name).collect();
        bail!("{unknown} is none of {}", names.join(", "));
    }
    Ok(all
        .into_iter()
        .filter(|one| words.is_empty() || words.iter().any(|word| fits(&name(one), word)))
        .collect())
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
        let all = Choice { full: true, ..Choice::default() }.cells().unwrap();
        assert_eq!(all.len(), service::ALL.len() * 8 * 5);
        for cell in all {
            assert_eq!(Cell::parse(&cell.to_string()).unwrap().to_string(), cell.to_string());
        }
        assert!(Cell::parse("node-sockets8-sequential-8").is_some());
        assert!(Cell::parse("node-nonsense-8").is_none());
    }

    fn count(services: &str, shapes: &str, loads: &str) -> Option<usize> {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        let choice =
            Choice { services: words(services), shapes: words(shapes), loads: words(loads), full: false };
        choice.cells().ok().map(|cells| cells.len())
    }

    #[test]
    fn cells_are_chosen_by_words_that_fit() {
        assert_eq!(count("node", "fanout", "8"), Some(1));
        assert_eq!(count("java-*", "fanout mixed", "8"), Some(8));
        assert_eq!(count("node", "", ""), Some(5 + 7));
        assert_eq!(count("cobol", "", ""), None);
        assert_eq!(count("", "", "many"), None);
    }

    #[test]
    fn fixtures_have_every_service_and_every_shape() {
        let cells = fixtures();
        assert!(service::ALL.iter().all(|one| cells.iter().any(|cell| cell.service.name == one.name)));
        assert!(Shape::ALL.iter().all(|shape| cells.iter().any(|cell| cell.shape == *shape)));
    }
}
