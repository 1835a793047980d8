//! What a misspelt name may have meant.

/// `; did you mean X?` if a known name is close.
pub fn did_you_mean<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let near = known
        .map(|known| (distance(name, known), known))
        // A third of the letters wrong is another word.
        .filter(|(distance, known)| *distance <= known.len() / 3)
        .min();
    near.map_or_else(String::new, |(_, known)| format!("; did you mean {known}?"))
}

/// Letters to insert, remove or replace (Levenshtein), whatever their case.
fn distance(a: &str, b: &str) -> usize {
    let b = b.as_bytes();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(!x.eq_ignore_ascii_case(y));
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
