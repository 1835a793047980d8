//! Figures beside what they should be.

/// One line each.
#[derive(Default)]
pub struct Report(Vec<String>);

impl Report {
    fn line(&mut self, what: &str, values: &mut [f64], goal: &str, met: Option<bool>) {
        values.sort_by(f64::total_cmp);
        let median = values[values.len() / 2];
        let verdict = match met {
            None => "",
            Some(true) => "ok",
            Some(false) => "MISSED",
        };
        let spread = if values.len() > 1 {
            format!(
                "{} .. {}",
                number(values[0]),
                number(values[values.len() - 1])
            )
        } else {
            String::new()
        };
        let line = format!(
            "{what:<68} {:>12}  {goal:<16} {verdict:<7} {spread}",
            number(median)
        );
        println!("{line}");
        self.0.push(line);
    }

    pub fn plain(&mut self, what: &str, values: &mut [f64]) {
        self.line(what, values, "", None);
    }

    pub fn at_least(&mut self, what: &str, values: &mut [f64], goal: f64) {
        values.sort_by(f64::total_cmp);
        let met = values[values.len() / 2] >= goal;
        self.line(what, values, &format!(">= {}", number(goal)), Some(met));
    }

    pub fn at_most(&mut self, what: &str, values: &mut [f64], goal: f64) {
        values.sort_by(f64::total_cmp);
        let met = values[values.len() / 2] <= goal;
        self.line(what, values, &format!("<= {}", number(goal)), Some(met));
    }

    pub fn print(&self) {
        println!(
            "\n{:<68} {:>12}  {:<16} {:<7} spread",
            "", "median", "goal", ""
        );
        for line in &self.0 {
            println!("{line}");
        }
    }
}

fn number(value: f64) -> String {
    if value.abs() >= 1000.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}")
    }
}
