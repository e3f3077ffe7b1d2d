//! A folder of texts: what is in it, where something stands, and what has changed.
//!
//! Names are paths below the folder with `/` between their parts. A file is found by what the listing has, never by
//! a path that somebody sends: so no `..`, link or hidden file leads out of the folder or to what is hidden in it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What is further down, or more than that, is not looked at.
const MAX_DEPTH: usize = 16;
const MAX_FILES: usize = 10_000;
/// Of a file no more is read: models have no room for it.
pub const MAX_TEXT: u64 = 1024 * 1024;

#[derive(Clone)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    pub fn open(path: &str) -> io::Result<Self> {
        let root = fs::canonicalize(path)?;
        fs::read_dir(&root)?;
        Ok(Self { root })
    }

    /// The files by their names, and when each was changed.
    pub fn files(&self) -> BTreeMap<String, SystemTime> {
        let mut files = BTreeMap::new();
        let mut folders = vec![(self.root.clone(), String::new(), 0)];
        while let Some((folder, prefix, depth)) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = match entry.file_name().into_string() {
                    Ok(name) if !name.starts_with('.') => format!("{prefix}{name}"),
                    _ => continue,
                };
                match entry.metadata() {
                    Ok(data) if data.is_dir() && depth < MAX_DEPTH => {
                        folders.push((entry.path(), format!("{name}/"), depth + 1));
                    }
                    Ok(data) if data.is_file() && files.len() < MAX_FILES => {
                        files.insert(name, data.modified().unwrap_or(SystemTime::UNIX_EPOCH));
                    }
                    _ => {} // links, devices
                }
            }
        }
        files
    }

    /// Opens a file whose name [`files`](Self::files) gave.
    pub fn listed(&self, name: &str) -> Option<File> {
        File::open(self.root.join(Path::new(name))).ok()
    }

    /// The beginning of a file that is a text in UTF-8, of any name that somebody sends.
    pub fn text(&self, name: &str) -> Option<String> {
        self.files().contains_key(name).then(|| self.listed_text(name))?
    }

    /// The same of a file whose name [`files`](Self::files) gave.
    pub fn listed_text(&self, name: &str) -> Option<String> {
        beginning(self.listed(name)?)
    }
}

/// `None` if it is no text.
fn beginning(file: File) -> Option<String> {
    let mut bytes = Vec::new();
    file.take(MAX_TEXT).read_to_end(&mut bytes).ok()?;
    match String::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            // The limit may have cut a character.
            let (valid, length) = (error.utf8_error().valid_up_to(), error.as_bytes().len());
            let is_cut = length as u64 == MAX_TEXT && length - valid < 4;
            let mut bytes = error.into_bytes();
            bytes.truncate(valid);
            is_cut.then(|| String::from_utf8(bytes).ok())?
        }
    }
}
