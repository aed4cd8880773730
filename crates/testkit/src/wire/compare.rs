//! Every case on two servers, and where they part.

use std::collections::BTreeMap;

use super::case::{Case, Step};
use super::conversation::Pieces;
use super::differences::Differences;
use super::record::Transcripts;
use super::stage::Stage;

/// Where the transcripts to compare with come from.
#[derive(Debug)]
pub enum Reference {
    /// A running program.
    Live(Stage),
    /// A record of one.
    Recorded(Transcripts),
}

/// What a comparison found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Cases compared.
    pub cases: usize,
    /// Conversations held with the server under test: the cases, and their bytes in pieces.
    pub conversations: usize,
    /// Everything that is not as it should be, told in full.
    pub wrong: Vec<String>,
    /// What the reference answered.
    pub transcripts: Transcripts,
    /// What the server under test answered where it means to differ.
    pub meant: Transcripts,
}

/// The bytes of a longer case are cut at this many places, evenly spread.
const MOST_CUTS: usize = 160;

/// Runs cases on both and compares.
pub fn compare(cases: &[Case], server: &mut Stage, reference: &mut Reference, differences: &Differences) -> Findings {
    let mut findings = Findings::default();
    for case in cases {
        findings.cases += 1;
        match one(case, server, reference, differences.cases.get(&case.name), &mut findings) {
            Ok(()) => {}
            Err(why) => findings.wrong.push(format!("{}: {why}", case.name)),
        }
    }
    let named: BTreeMap<_, _> = cases.iter().map(|case| (case.name.as_str(), ())).collect();
    for name in differences.cases.keys().filter(|name| !named.contains_key(name.as_str())) {
        findings.wrong.push(format!("{name}: listed as a difference, and no such case"));
    }
    findings
}

fn one(
    case: &Case,
    server: &mut Stage,
    reference: &mut Reference,
    reason: Option<&String>,
    findings: &mut Findings,
) -> Result<(), String> {
    let expected = match reference {
        Reference::Live(stage) => stage.perform(case, Pieces::Whole)?,
        Reference::Recorded(transcripts) => {
            transcripts.get(&case.name).cloned().ok_or("the record does not hold it; make a new one")?
        }
    };
    let whole = server.perform(case, Pieces::Whole)?;
    findings.conversations += 1;
    findings.wrong.extend(verdict(case, &expected, &whole, reason));
    findings.transcripts.insert(case.name.clone(), expected);
    if reason.is_some() {
        findings.meant.insert(case.name.clone(), whole.clone());
    }
    if case.flags.whole || case.flags.private {
        return Ok(());
    }
    for pieces in pieces(case) {
        let cut = server.perform(case, pieces)?;
        findings.conversations += 1;
        if cut != whole {
            findings.wrong.push(told(case, &whole, &cut, &format!("{pieces:?} differs from whole")));
            return Ok(());
        }
    }
    Ok(())
}

/// What is wrong with a whole answer, if anything.
fn verdict(case: &Case, expected: &[String], whole: &[String], reason: Option<&String>) -> Option<String> {
    match (whole == expected, reason) {
        (false, None) => Some(told(case, expected, whole, "the two differ")),
        (true, Some(_)) => Some(format!("{}: listed as a difference, and does not differ", case.name)),
        _ => None,
    }
}

/// A cut at every byte, or at evenly spread ones, and every byte alone.
fn pieces(case: &Case) -> Vec<Pieces> {
    let length: usize = case
        .steps
        .iter()
        .map(|step| match step {
            Step::Send(_, bytes) => bytes.len(),
            _ => 0,
        })
        .sum();
    let stride = length.div_ceil(MOST_CUTS).max(1);
    let mut pieces: Vec<Pieces> = (1..length).step_by(stride).map(Pieces::CutAfter).collect();
    if stride == 1 {
        pieces.push(Pieces::Bytes);
    }
    pieces
}

fn told(case: &Case, expected: &[String], got: &[String], what: &str) -> String {
    let mut text = format!("{}: {what}", case.name);
    for line in lines_apart(expected, got) {
        text.push_str("\n    ");
        text.push_str(&line);
    }
    text
}

/// Both, with what they share at the beginning and at the end only once.
fn lines_apart(expected: &[String], got: &[String]) -> Vec<String> {
    let same = expected.iter().zip(got).take_while(|(left, right)| left == right).count();
    let left = expected[same..].iter().rev();
    let tail = left.zip(got[same..].iter().rev()).take_while(|(left, right)| left == right).count();
    let mut lines: Vec<String> = expected[..same].iter().map(|line| format!("  {line}")).collect();
    lines.extend(expected[same..expected.len() - tail].iter().map(|line| format!("- {line}")));
    lines.extend(got[same..got.len() - tail].iter().map(|line| format!("+ {line}")));
    lines.extend(expected[expected.len() - tail..].iter().map(|line| format!("  {line}")));
    lines
}

#[cfg(test)]
mod tests {
    use super::super::case::{Flags, Hello};
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    fn case() -> Case {
        Case {
            name: "pub/x".into(),
            config: "plain".into(),
            hello: Hello::None,
            steps: vec![Step::Send('a', b"PING\r\n".to_vec())],
            flags: Flags::default(),
        }
    }

    #[test]
    fn a_server_that_answers_otherwise_is_told() {
        let (right, wrong) = (lines("PONG"), lines("+OK,PONG"));
        let reason = "meant".to_owned();
        assert_eq!(verdict(&case(), &right, &right, None), None);
        assert!(verdict(&case(), &right, &wrong, None).is_some_and(|told| told.contains("+ +OK")));
        assert_eq!(verdict(&case(), &right, &wrong, Some(&reason)), None);
        assert!(verdict(&case(), &right, &right, Some(&reason)).is_some());
    }

    #[test]
    fn a_case_is_cut_at_every_byte() {
        let cuts = pieces(&case());
        assert_eq!(cuts.len(), 6);
        assert_eq!(cuts[0], Pieces::CutAfter(1));
        assert_eq!(cuts[5], Pieces::Bytes);
    }

    #[test]
    fn what_differs_is_shown_between_what_does_not() {
        assert_eq!(lines_apart(&lines("a,b,c"), &lines("a,x,y,c")), ["  a", "- b", "+ x", "+ y", "  c"]);
        assert_eq!(lines_apart(&lines("a,a"), &lines("a")), ["  a", "- a"]);
    }
}
