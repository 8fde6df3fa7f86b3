//! What is learned of a process: how its requests go through their calls, how long each step takes, and what the
//! evidence looks like when a pair is right.
//!
//! Learned without labels, from the assignment as it stands and from what is certain (a semi-Markov chain: the delay
//! depends on the step). All numbers are logarithms of a likelihood ratio: how much likelier among right pairs than among
//! pairs at random.

use super::batch::Batch;
use super::chain::{CLASSES, NEXTS, Step, WAYS, Walk, walk};
use super::evidence::{ALL, ASKED, BINS, COUNT, Pair, WAKE};

/// Bins of a delay; about 19 % wide.
pub const GAPS: usize = 112;
/// Half width of the kernel that smooths delays, in bins.
const SPREAD: i32 = 6;
/// How much a kind of evidence counts: the kinds are not independent of each other.
const TEMPER: f32 = 0.7;
/// Steps of a class that are needed before its own numbers outweigh those of all steps to the same next.
const BACK_OFF: f32 = 4.0;
/// A piece of evidence that speaks for a step by less than this is not named.
const TELLING: f32 = 0.3;
/// No single piece of evidence decides alone.
const MOST: f32 = 7.0;

/// Counts of one class of steps.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub steps: f32,
    pub gaps: [f32; GAPS],
    pub bins: [[f32; BINS]; COUNT],
}

impl Row {
    pub const EMPTY: Row = Row { steps: 0.0, gaps: [0.0; GAPS], bins: [[0.0; BINS]; COUNT] };

    fn add(&mut self, step: &Step<'_>, weight: f32) {
        self.steps += weight;
        if let Some(count) = self.gaps.get_mut(gap_bin(step.gap)) {
            *count += weight;
        }
        let pair = Pair { root: step.root, from: step.from, to: step.to, birth: step.birth };
        for (kind, bins) in ALL.iter().zip(&mut self.bins) {
            if let Some(count) = kind.bin(&pair).and_then(|bin| bins.get_mut(usize::from(bin))) {
                *count += weight;
            }
        }
    }

    fn scale(&mut self, by: f32) {
        self.steps *= by;
        self.gaps.iter_mut().for_each(|count| *count *= by);
        self.bins.iter_mut().flatten().for_each(|count| *count *= by);
    }

    pub fn merge(&mut self, other: &Row) {
        self.steps += other.steps;
        for (one, other) in self.gaps.iter_mut().zip(&other.gaps) {
            *one += other;
        }
        for (one, other) in self.bins.iter_mut().flatten().zip(other.bins.iter().flatten()) {
            *one += other;
        }
    }
}

/// Scores of one class of steps.
#[derive(Clone, Debug)]
pub struct Scores {
    /// Of the step itself, from its place.
    pub step: f32,
    gaps: [f32; GAPS],
    bins: [[f32; BINS]; COUNT],
    /// What a pair of steps of this class costs that overtake each other.
    pub overtake: f32,
    /// Steps of this class that were counted.
    pub steps: f32,
}

/// Counts from which scores are made. Costs nothing until something is counted: there may be very many processes.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// By class: index into `rows` plus one.
    place: Vec<u16>,
    rows: Vec<(usize, Row)>,
    /// By next: pairs at random.
    random: Vec<Row>,
    /// By row: pairs of steps that wait at the same time, and those of them that overtake each other.
    overtaking: Vec<(f32, f32)>,
}

/// Classes that are told apart; what comes later is scored like something never seen.
const MAX_ROWS: usize = 600;

impl Counts {
    /// The row of a class, made if it is new.
    fn row(&mut self, class: usize) -> Option<usize> {
        if self.place.is_empty() {
            self.place = vec![0; CLASSES];
        }
        let place = self.place.get_mut(class)?;
        if *place == 0 {
            if self.rows.len() >= MAX_ROWS {
                return None;
            }
            self.rows.push((class, Row::EMPTY));
            self.overtaking.push((0.0, 0.0));
            *place = self.rows.len() as u16;
        }
        Some(usize::from(*place) - 1)
    }

    /// The row of pairs at random.
    fn random_row(&mut self, next: u8) -> Option<&mut Row> {
        if self.random.is_empty() {
            self.random = vec![Row::EMPTY; NEXTS];
        }
        self.random.get_mut(usize::from(next))
    }

    /// All that was counted of steps: class, counts, and how many waited side by side and overtook each other.
    pub(super) fn by_class(&self) -> impl Iterator<Item = (usize, &Row, (f32, f32))> {
        self.rows.iter().zip(&self.overtaking).map(|((class, row), crossed)| (*class, row, *crossed))
    }

    /// All that was counted of pairs at random, by next.
    pub(super) fn at_random(&self) -> impl Iterator<Item = (usize, &Row)> {
        self.random.iter().enumerate()
    }

    /// Adds counts of a class.
    pub(super) fn add_class(&mut self, class: usize, counts: &Row, (pairs, crossed): (f32, f32)) {
        if let Some(row) = self.row(class)
            && let Some((_, row)) = self.rows.get_mut(row)
        {
            row.merge(counts);
            self.add_overtaking(class, pairs, crossed);
        }
    }

    /// Adds counts of pairs at random.
    pub(super) fn add_at_random(&mut self, next: u8, counts: &Row) {
        if let Some(row) = self.random_row(next) {
            row.merge(counts);
        }
    }

    /// Whether nothing was learned.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many steps were counted.
    pub fn steps(&self) -> f32 {
        self.rows.iter().map(|(_, row)| row.steps).sum()
    }

    /// Older counts weigh less.
    pub fn fade(&mut self, by: f32) {
        self.rows.iter_mut().for_each(|(_, row)| row.scale(by));
        self.random.iter_mut().for_each(|row| row.scale(by));
        for (pairs, crossed) in &mut self.overtaking {
            *pairs *= by;
            *crossed *= by;
        }
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: &Counts) {
        for ((class, from), (pairs, crossed)) in other.rows.iter().zip(&other.overtaking) {
            if let Some(row) = self.row(*class)
                && let (Some((_, own)), Some(counts)) = (self.rows.get_mut(row), self.overtaking.get_mut(row))
            {
                own.merge(from);
                counts.0 += pairs;
                counts.1 += crossed;
            }
        }
        if !other.random.is_empty() {
            self.random_row(0);
        }
        for (own, other) in self.random.iter_mut().zip(&other.random) {
            own.merge(other);
        }
    }

    /// Adds a right step.
    pub fn add(&mut self, step: &Step<'_>, weight: f32) {
        if let Some(row) = self.row(step.class())
            && let Some((_, row)) = self.rows.get_mut(row)
        {
            row.add(step, weight);
        }
    }

    /// Adds all steps of a chain.
    pub fn add_chain(&mut self, batch: &Batch, request: u32, kids: &[u32], weight: f32) {
        walk(batch, request, kids, |step| self.add(&step, weight));
    }

    /// Adds a step at random: a call that is not this chain's, if it were.
    pub fn add_random(&mut self, batch: &Batch, request: u32, kids: &[u32], call: u32) {
        let (Some(head), Some(stranger)) =
            (batch.requests.get(request as usize), batch.calls.get(call as usize))
        else {
            return;
        };
        let (chain, before) = Walk::until(batch, head, kids, stranger.start);
        if let Some(step) = chain.to_call(before, call)
            && let Some(row) = self.random_row(step.next)
        {
            row.add(&step, 1.0);
        }
    }

    /// Adds an answer that is not this chain's, if it were.
    pub fn add_random_answer(&mut self, step: &Step<'_>) {
        if let Some(row) = self.random_row(step.next) {
            row.add(step, 1.0);
        }
    }

    /// Of the steps of a class, `pairs` waited side by side, and `crossed` of them overtook each other.
    pub fn add_overtaking(&mut self, class: usize, pairs: f32, crossed: f32) {
        if let Some(row) = self.row(class)
            && let Some(counts) = self.overtaking.get_mut(row)
        {
            counts.0 += pairs;
            counts.1 += crossed;
        }
    }

    /// The scores.
    pub fn scores(&self) -> Model {
        let mut by_next: Vec<Row> = vec![Row::EMPTY; NEXTS * WAYS];
        let mut from_place = std::collections::BTreeMap::<usize, f32>::new();
        for (class, row) in &self.rows {
            if let Some(all) = by_next.get_mut(class % (NEXTS * WAYS)) {
                all.merge(row);
            }
            *from_place.entry(class / (NEXTS * WAYS)).or_default() += row.steps;
        }
        let rows = self.rows.iter().zip(&self.overtaking).map(|((class, row), (pairs, crossed))| {
            let total = from_place.get(&(class / (NEXTS * WAYS))).copied().unwrap_or(0.0);
            let next = class / WAYS % NEXTS;
            let rate = (crossed + 1.0) / (pairs + 3.0);
            Scores {
                step: ((row.steps + 0.05) / (total + 1.0)).ln(),
                overtake: ((1.0 - rate) / rate).ln().clamp(0.0, 4.0),
                steps: row.steps,
                ..ratios(row, by_next.get(class % (NEXTS * WAYS)), self.random.get(next))
            }
        });
        Model { place: self.place.clone(), rows: rows.collect() }
    }
}

/// Right against random.
fn ratios(row: &Row, all: Option<&Row>, random: Option<&Row>) -> Scores {
    let empty = Row::EMPTY;
    let (all, random) = (all.unwrap_or(&empty), random.unwrap_or(&empty));
    let (own_gaps, all_gaps, random_gaps) = (smooth(&row.gaps), smooth(&all.gaps), smooth(&random.gaps));
    let mut scores =
        Scores { step: 0.0, gaps: [0.0; GAPS], bins: [[0.0; BINS]; COUNT], overtake: 0.0, steps: 0.0 };
    let flat = 1.0 / GAPS as f32;
    for (gap, score) in scores.gaps.iter_mut().enumerate() {
        let at = |gaps: &[f32; GAPS]| gaps.get(gap).copied().unwrap_or(0.0);
        let back = (at(&all_gaps) + flat) / (all.steps + 1.0);
        let right = (at(&own_gaps) + BACK_OFF * back) / (row.steps + BACK_OFF);
        let other = (at(&random_gaps) + 2.0 * flat) / (random.steps + 2.0);
        *score = (right / other).ln().clamp(-2.0 * MOST, MOST);
    }
    for (kind, scores) in scores.bins.iter_mut().enumerate() {
        let of = |row: &Row| row.bins.get(kind).copied().unwrap_or([0.0; BINS]);
        let (own, all, random) = (of(row), of(all), of(random));
        let sum = |bins: &[f32; BINS]| bins.iter().sum::<f32>();
        let (own_sum, all_sum, random_sum) = (sum(&own), sum(&all), sum(&random));
        if all_sum < 1.0 || random_sum < 1.0 {
            continue;
        }
        for (bin, score) in scores.iter_mut().enumerate() {
            let at = |bins: &[f32; BINS]| bins.get(bin).copied().unwrap_or(0.0);
            let back = (at(&all) + 0.05) / (all_sum + 0.05 * BINS as f32);
            let right = (at(&own) + BACK_OFF * back) / (own_sum + BACK_OFF);
            let other = (at(&random) + 0.05) / (random_sum + 0.05 * BINS as f32);
            *score = TEMPER * (right / other).ln().clamp(-MOST, MOST);
        }
    }
    scores
}

/// The scores of every class.
#[derive(Clone, Debug)]
pub struct Model {
    place: Vec<u16>,
    rows: Vec<Scores>,
}

/// A class that was never seen.
const NEVER: f32 = -9.0;

impl Model {
    /// The row of a class.
    pub fn row(&self, class: usize) -> Option<&Scores> {
        let place = self.place.get(class).copied().unwrap_or(0);
        self.rows.get(usize::from(place).checked_sub(1)?)
    }

    /// As if it were not known which thread had woken which, in a process where that tells who asked.
    pub fn without_askers(&self) -> Model {
        let mut model = self.clone();
        let asked =
            |row: &Scores| row.bins.get(ASKED).is_some_and(|bins| bins.iter().any(|bin| *bin > TELLING));
        if model.rows.iter().any(asked) {
            for row in &mut model.rows {
                for (kind, bins) in row.bins.iter_mut().enumerate() {
                    if kind == WAKE || kind == ASKED {
                        *bins = [0.0; BINS];
                    }
                }
            }
        }
        model
    }

    /// How much speaks for a step.
    pub fn score(&self, step: &Step<'_>) -> f32 {
        let Some(row) = self.row(step.class()) else { return NEVER };
        let mut score = row.step + row.gaps.get(gap_bin(step.gap)).copied().unwrap_or(0.0);
        let pair = Pair { root: step.root, from: step.from, to: step.to, birth: step.birth };
        for (kind, bins) in ALL.iter().zip(&row.bins) {
            score += kind.bin(&pair).and_then(|bin| bins.get(usize::from(bin))).copied().unwrap_or(0.0);
        }
        score
    }

    /// The kinds of evidence that speak for a step, strongest first, and the delay's part.
    pub fn speaks(&self, step: &Step<'_>) -> crate::causality::EvidenceSet {
        let mut set = crate::causality::EvidenceSet::default();
        let Some(row) = self.row(step.class()) else { return set };
        let pair = Pair { root: step.root, from: step.from, to: step.to, birth: step.birth };
        for (kind, bins) in ALL.iter().zip(&row.bins) {
            let score = kind.bin(&pair).and_then(|bin| bins.get(usize::from(bin))).copied();
            if score.unwrap_or(0.0) > TELLING {
                set = set.with(kind.name());
            }
        }
        if row.overtake > 1.0 {
            set = set.with(crate::causality::Evidence::Queue);
        }
        if set.is_empty() || row.gaps.get(gap_bin(step.gap)).is_some_and(|gap| *gap > 0.3) {
            set = set.with(crate::causality::Evidence::Timing);
        }
        set
    }
}

/// The bin of a delay: logarithmic from 4 us on.
pub fn gap_bin(gap: u64) -> usize {
    let x = 1.0 + gap as f32 / 4096.0;
    let bin = x.log2() * 4.0;
    (bin as usize).min(GAPS - 1)
}

fn smooth(counts: &[f32; GAPS]) -> [f32; GAPS] {
    let mut out = [0.0; GAPS];
    for (bin, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0.0) {
        for step in -SPREAD..=SPREAD {
            let to = (bin as i32 + step).clamp(0, GAPS as i32 - 1);
            if let Some(out) = out.get_mut(to as usize) {
                *out += count * KERNEL.get(step.unsigned_abs() as usize).copied().unwrap_or(0.0);
            }
        }
    }
    out
}

/// A bell of 1.6 bins, of sum 1.
const KERNEL: [f32; 7] = [0.2494, 0.2052, 0.1142, 0.0430, 0.0110, 0.0019, 0.0002];
