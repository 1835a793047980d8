//! A parser of the text format that is stricter than Prometheus' own.

use std::collections::{BTreeMap, BTreeSet};

/// A scrape, taken apart: the type of each family and the value of each series.
#[derive(Debug, Default)]
pub struct Exposition {
    pub kinds: BTreeMap<String, String>,
    pub series: BTreeMap<String, f64>,
}

impl Exposition {
    /// Panics at anything that format 0.0.4 does not allow, and at what it merely advises
    /// against: a family without help or type or in two places, a series twice, a histogram
    /// whose buckets do not add up.
    pub fn parse(text: &str) -> Self {
        let mut parsed = Self::default();
        let (mut help, mut helped) = (String::new(), BTreeSet::new());
        let mut family = String::new();
        assert!(text.ends_with('\n'), "the last line ends");
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, words) = rest.split_once(' ').expect("help has words");
                assert!(words.len() > 10 && helped.insert(name.to_owned()), "{line}");
                name.clone_into(&mut help);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a type");
                assert_eq!(help, name, "help and type belong together");
                assert!(
                    parsed
                        .kinds
                        .insert(name.to_owned(), kind.to_owned())
                        .is_none(),
                    "{line}"
                );
                name.clone_into(&mut family);
            } else {
                parsed.sample(line, &family);
            }
        }
        parsed.check_histograms();
        parsed
    }

    fn sample(&mut self, line: &str, family: &str) {
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let name = series.split('{').next().expect("a name");
        assert!(
            name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'),
            "{line}"
        );
        let suffix = name
            .strip_prefix(family)
            .expect("samples follow their type");
        let suffixes: &[&str] = match self.kinds[family].as_str() {
            "histogram" => &["_bucket", "_sum", "_count"],
            "counter" | "gauge" => &[""],
            other => panic!("{family} is a {other}"),
        };
        assert!(suffixes.contains(&suffix), "{line}");
        let value = value.parse().expect("a number");
        assert!(
            self.series.insert(series.to_owned(), value).is_none(),
            "twice: {line}"
        );
    }

    fn check_histograms(&self) {
        let mut rows: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
        for (series, count) in &self.series {
            let Some((name, labels)) = series.split_once("_bucket{") else {
                continue;
            };
            let (labels, le) = labels.rsplit_once("le=\"").expect("le comes last");
            let le = le.trim_end_matches("\"}");
            let bound = if le == "+Inf" {
                f64::INFINITY
            } else {
                le.parse().expect("a bound")
            };
            let labels = labels.trim_end_matches(',');
            let labels = if labels.is_empty() {
                String::new()
            } else {
                format!("{{{labels}}}")
            };
            rows.entry(format!("{name}_count{labels}"))
                .or_default()
                .push((bound, *count));
        }
        for (total, mut buckets) in rows {
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(
                buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1),
                "{total}: {buckets:?}"
            );
            let (bound, count) = buckets.last().expect("buckets");
            assert!(
                bound.is_infinite() && same(*count, self.value(&total)),
                "{total}: {buckets:?}"
            );
        }
        for (name, _) in self.kinds.iter().filter(|(_, kind)| *kind == "histogram") {
            assert!(
                self.series
                    .keys()
                    .any(|series| series.starts_with(&format!("{name}_bucket{{")))
            );
        }
    }

    pub fn value(&self, series: &str) -> f64 {
        *self
            .series
            .get(series)
            .unwrap_or_else(|| panic!("no {series} in {:#?}", self.series.keys()))
    }

    pub fn sum(&self, family: &str) -> f64 {
        let of = |series: &str| series.split('{').next() == Some(family);
        self.series
            .iter()
            .filter(|(series, _)| of(series))
            .map(|(_, value)| value)
            .sum()
    }
}

/// Equal, as floats are.
pub fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}
