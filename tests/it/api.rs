//! The public API as text, `tests/api.txt`: whoever changes it has to mean it.
//!
//! It is read from the sources, which rustfmt has laid out: that needs no other compiler and no other crate. Clippy's
//! `unreachable_pub` sees to it that what is `pub` there can be reached. What a macro makes is read from its table.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

const RENEW: &str = "RENEW_API=1 cargo test --test it api::";
/// Attributes that users see the effect of.
const ATTRIBUTES: [&str; 6] = ["cfg", "deprecated", "derive", "doc(hidden)", "must_use", "non_exhaustive"];
/// Macros that implement `Data` for a list of types, which stands last.
const LISTS: [&str; 3] = ["data! {", "data_unless! {", "tuples! {"];

#[test]
fn the_api_is_what_was_meant() {
    let found: String = api().iter().map(|line| format!("{line}\n")).collect();
    let path = root().join("tests/api.txt");
    if env::var_os("RENEW_API").is_some() {
        return fs::write(path, found).unwrap();
    }
    let known = fs::read_to_string(path).unwrap_or_default();
    let [found, known] = [&found, &known].map(|text| text.lines().collect::<BTreeSet<_>>());
    let gone = known.difference(&found).map(|line| format!("- {line}\n"));
    let new = found.difference(&known).map(|line| format!("+ {line}\n"));
    let changes: String = gone.chain(new).collect();
    assert!(changes.is_empty(), "the public API has changed:\n{changes}If that is meant: {RENEW}");
}

/// A line for each item, in order.
fn api() -> BTreeSet<String> {
    let mut api = Api::default();
    for (file, path) in [("src/lib.rs", ""), ("src/testing/mod.rs", "testing::")] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        for names in text.split("\npub use ").skip(1).filter_map(|rest| rest.split(';').next()) {
            let (_, names) = names.rsplit_once("::").unwrap();
            for name in names.split(&['{', '}', ',', '\n', ' '][..]).filter(|name| !name.is_empty()) {
                api.public.insert(name.to_owned());
                api.lines.insert(format!("brooklet::{path}{name}"));
            }
        }
    }
    for file in sources(root().join("src")) {
        let text = fs::read_to_string(&file).unwrap();
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
        let is_code = |line: &&str| !line.trim_start().starts_with("//") && !line.trim().is_empty();
        api.items(&text.lines().filter(is_code).collect::<Vec<_>>(), "");
    }
    api.lines
}

#[derive(Default)]
struct Api {
    /// The names that can be reached.
    public: BTreeSet<String>,
    lines: BTreeSet<String>,
}

impl Api {
    /// Notes the items of a file, of an `impl` or of a trait, which all stand at the first line's indentation.
    fn items(&mut self, lines: &[&str], of: &str) {
        let indent = lines.first().map_or(0, |line| line.len() - line.trim_start().len());
        let mut attributes = String::new();
        let mut lines = lines.iter();
        while let Some(line) = lines.next() {
            let mut head = line.trim().to_owned();
            if let Some(attribute) = head.strip_prefix("#[") {
                if ATTRIBUTES.iter().any(|kept| attribute.starts_with(kept)) {
                    attributes += &format!("{head} ");
                }
                continue;
            }
            let is_list = LISTS.iter().any(|list| head.starts_with(list));
            while !head.ends_with(&['{', '}'][..]) && (is_list || !head.ends_with(';')) {
                head += &lines.next().map_or("{".to_owned(), |line| format!(" {}", line.trim()));
            }
            let (mut body, mut end) = (Vec::new(), "");
            if head.ends_with('{') {
                let is_inside =
                    |line: &&&str| line.find('}') != Some(indent) || !line.trim_start().starts_with('}');
                let mut rest = lines.clone();
                body.extend(rest.by_ref().take_while(is_inside).copied());
                end = lines.nth(body.len()).map_or("", |line| line.trim());
            }
            let tidy = [("( ", "("), (", )", ")"), (", >", ">"), ("(mut ", "("), (", mut ", ", ")];
            let head = tidy.iter().fold(head, |head, (from, to)| head.replace(from, to));
            self.item(&std::mem::take(&mut attributes), &head, &body, end, of);
        }
    }

    fn item(&mut self, attributes: &str, head: &str, body: &[&str], end: &str, of: &str) {
        let (declared, _) = head.split_once(" {").unwrap_or((head.trim_end_matches(';'), ""));
        let name = declared.split(&[' ', '<', '(', ':'][..]).nth(2).unwrap_or_default();
        let members = body.iter().map(|line| line.trim()).filter(|line| !line.starts_with("#["));
        if declared.starts_with("pub struct") {
            // Of fields that nobody sees it only matters that there are some.
            let shown: Vec<_> = members.clone().filter(|member| member.starts_with("pub ")).collect();
            let hidden = (shown.len() < body.len() || declared.contains('(')).then_some("..");
            // In a table there is more behind them.
            let field = |member: &str| match member.split_once(" = ") {
                Some((field, _)) => format!("{field},"),
                None => member.to_owned(),
            };
            let fields = shown.into_iter().chain(hidden).map(field).collect::<Vec<_>>().join(" ");
            self.lines.insert(match declared.split_once('(') {
                Some((_, field)) if field.starts_with("pub ") => format!("{attributes}{declared}"),
                split => format!("{attributes}{} {{ {fields} }}", split.map_or(declared, |split| split.0)),
            });
        } else if declared.starts_with("pub enum") {
            self.lines.insert(format!("{attributes}{}", declared.split(':').next().unwrap_or_default()));
            let text = body.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
            self.lines.extend(variants(&text).map(|variant| format!("{name}::{variant}")));
        } else if declared.starts_with("pub trait") {
            self.lines.insert(format!("{attributes}{declared}"));
            self.items(body, &format!("trait {name}"));
        } else if declared.starts_with("impl") {
            let mut names = declared.split(&[' ', '<', '>', '(', '&', ','][..]);
            match declared.contains(" for ") {
                true if names.any(|name| self.public.contains(name)) => {
                    self.lines.insert(format!("{attributes}{declared}"));
                }
                true => {}
                false => self.items(body, declared),
            }
        } else if LISTS.iter().any(|list| head.starts_with(list)) {
            let whole = format!("{head} {} {end}", members.collect::<Vec<_>>().join(" "));
            let whole = whole.trim_end_matches(&[' ', '}'][..]);
            let types = match whole.split_once("; [") {
                Some((_, types)) => format!("[{types}"),
                None => whole.rsplit(&[';', '{'][..]).next().unwrap_or_default().to_owned(),
            };
            self.lines.insert(format!("impl Data for {}", types.trim()));
        } else if declared.starts_with("statuses!") {
            self.lines.extend(members.map(|row| format!("Status: {row}")));
        } else if declared.starts_with("rows!") || declared.starts_with("numbers!") {
            self.items(body, "");
        } else if declared.starts_with("pub fn")
            || declared.starts_with("pub const")
            || of.starts_with("trait")
        {
            self.lines.insert(format!("{of}: {attributes}{declared}"));
        } else if declared.starts_with("pub type") || declared.starts_with("macro_rules! json_object") {
            self.lines.insert(format!("{attributes}{declared}"));
        }
    }
}

/// What stands between the commas, or the semicolons of a table with values.
fn variants(text: &str) -> impl Iterator<Item = String> + '_ {
    let mut depth = 0;
    let is_end = move |char: char| {
        depth += i32::from("([{".contains(char)) - i32::from(")]}".contains(char));
        depth == 0 && matches!(char, ',' | ';')
    };
    let variants = text.split(is_end).map(|variant| variant.split(" = ").next().unwrap_or_default().trim());
    variants.filter(|variant| !variant.is_empty()).map(str::to_owned)
}

fn sources(folder: PathBuf) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let is_read =
        |path: &PathBuf| path.extension().map_or(false, |end| end == "rs") && !path.ends_with("tests.rs");
    let files = files.into_iter().filter(is_read);
    files.chain(folders.into_iter().filter(|folder| !folder.ends_with("guide")).flat_map(sources)).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
