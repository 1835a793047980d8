//! What came of the faults, as people read it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::show::Findings;

/// What came of one fault.
#[derive(Debug)]
pub struct Line {
    pub name: &'static str,
    pub events: usize,
    pub wrong: Vec<String>,
    lost: usize,
    doubled: usize,
    most: (u64, u64),
    gap: Duration,
}

impl Line {
    pub fn new(name: &'static str, events: usize, found: Findings, limit: Duration) -> Self {
        let (gap, mut wrong) = (found.longest_gap, found.wrong);
        if gap > limit {
            wrong.push(format!("{gap:?} without calls, and not {limit:?}"));
        }
        wrong.truncate(20);
        Self {
            name,
            events,
            wrong,
            lost: found.lost,
            doubled: found.doubled,
            most: (found.most_of_a_channel, found.most_of_all),
            gap,
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name, events, gap, ..
        } = self;
        write!(f, "{name:<24} {gap:>8.2?} without calls, {events} events")?;
        if !self.wrong.is_empty() {
            write!(f, ", WRONG: {:#?}", self.wrong)?;
        }
        Ok(())
    }
}

/// All faults of a run.
#[derive(Default)]
pub struct Table {
    pub lines: Vec<Line>,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |of: fn(&Line) -> usize| self.lines.iter().map(of).sum::<usize>();
        let most = |of: fn(&Line) -> u64| self.lines.iter().map(of).max().unwrap_or(0);
        writeln!(
            f,
            "{} faults, {} events, {} lost, {} doubled, {} faults with something wrong, at most {} and {} calls in a second",
            self.lines.len(),
            sum(|line| line.events),
            sum(|line| line.lost),
            sum(|line| line.doubled),
            sum(|line| usize::from(!line.wrong.is_empty())),
            most(|line| line.most.0),
            most(|line| line.most.1),
        )?;
        let mut gaps: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
        for line in &self.lines {
            gaps.entry(line.name).or_default().push(line.gap);
        }
        write!(
            f,
            "{:<24} {:>5} {:>9} {:>9}",
            "longest without calls", "times", "median", "most"
        )?;
        for (name, mut gaps) in gaps {
            gaps.sort_unstable();
            let (count, median) = (gaps.len(), gaps[gaps.len() / 2]);
            let most = gaps[count - 1];
            write!(f, "\n{name:<24} {count:>5} {median:>9.2?} {most:>9.2?}")?;
        }
        Ok(())
    }
}
