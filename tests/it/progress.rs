//! The `progress` example as a program: right sums, the same steps for everybody, and an end that lasts.

use std::fs::{self, File};
use std::path::Path;

use brooklet::testing::EventStream;

use crate::example::{check_refusal, folder, run, Tool};
use crate::patience::eventually;
use crate::wire::show;

/// Known from elsewhere: of so many times the letter `a`. FIPS 180-4 pads blocks of 64 bytes, with eight for the length.
#[test]
fn sums() {
    let folder = folder("progress-sums");
    for (count, sum) in [
        (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (1, "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
        (3, "9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0"),
        (55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"),
        (56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"),
        (63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34"),
        (64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"),
        (65, "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0"),
        (119, "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb"),
        (120, "2f3d335432c70b580af0e8e1b3674a7c020d683aa5f73aaaedfdc55af904c21c"),
        (128, "6836cf13bac400e9105071cd6af47084dfacad4e5e302c94bfed24e013afb73e"),
        (4_096, "c93eee2d0db02f10acc7460d9576e122dcf8cd53c4bf8dfcae1b3e74ebcfff5a"),
        (65_536, "bf718b6f653bebc184e1479f1935b8da974d701b893afcf49e701f3e2f9f9c5a"),
        (1_000_000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    ] {
        check(&folder, &"a".repeat(count), sum);
    }
    // The examples of FIPS 180-4 itself.
    check(&folder, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    check(&folder, two_blocks, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");

    #[track_caller]
    fn check(folder: &Path, text: &str, sum: &str) {
        let file = folder.join("file");
        fs::write(&file, text).unwrap();
        let output = run("progress", &["--exit", "--quiet", "--port", "0", file.to_str().unwrap()]);
        let expected = format!("{sum}  {}\n", file.display());
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{} bytes", text.len());
        assert!(output.status.success());
    }
}

/// Sorted; names that would break a line escaped as `sha256sum` does it; what cannot be read is told and counted.
#[test]
fn a_folder() {
    let root = folder("progress-folder");
    fs::create_dir_all(root.join("b/empty")).unwrap();
    for name in ["z", "b/c", "a", "new\nline", "back\\slash", "ü <b>"] {
        fs::write(root.join(name), "").unwrap();
    }
    std::os::unix::fs::symlink("/nowhere", root.join("b/gone")).unwrap();
    std::os::unix::fs::symlink(&root, root.join("b/up")).unwrap(); // round and round, if it were followed
    let output = run("progress", &["--exit", "--port", "0", root.to_str().unwrap()]);

    let sum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let root = root.display();
    let names = ["a", "b/c", "back\\\\slash", "new\\nline", "z", "ü <b>"];
    let line = |name: &&str| format!("{}{sum}  {root}/{name}\n", if name.contains('\\') { "\\" } else { "" });
    assert_eq!(String::from_utf8_lossy(&output.stdout), names.iter().map(line).collect::<String>());
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8_lossy(&output.stderr);
    let complaint = format!("progress: {root}/b/gone: No such file or directory (os error 2)\n");
    assert!(log.contains(&complaint), "{log}");
    assert!(log.ends_with("\rdone: 6 files, 0 B in 0.0 s, 1 unreadable\x1b[K\n"), "{log}");
}

#[test]
fn everybody_sees_the_same() {
    let root = folder("progress-watched");
    for name in 0..8 {
        fs::write(root.join(name.to_string()), [b'x'; 40 * 1024]).unwrap();
    }
    std::os::unix::fs::symlink("/nowhere", root.join("gone")).unwrap();
    let last = last_file(&root);
    let tool = Tool::start("progress", &["--rate", "250", root.to_str().unwrap()]);
    let mut early = tool.stream("/events", "");
    let first = loop {
        let step = early.next_event().unwrap();
        if step.event_type == "step" && number(&step.data, "bytes") > 40 * 1024 {
            break step;
        }
    };
    for target in ["/result", "/SHA256SUMS"] {
        let answer = tool.get(target);
        let page = b"404 Not Found: the job is not done yet\n";
        assert_eq!((answer.status, show(&answer.body)), (404, show(page)), "{target}");
    }

    // Who comes late has what could not be read and the last step at once, and then the same steps; who comes back
    // has the last of what was missed.
    let mut late = tool.stream("/events", "");
    let trouble = late.next_event().unwrap();
    assert_eq!(trouble.event_type, "trouble");
    assert!(trouble.data.ends_with(r#"/gone","why":"No such file or directory (os error 2)"}"#), "{trouble}");
    let mut back = tool.stream("/events", &first.last_event_id);
    last.set_len(0).unwrap();
    let rest = |stream: &mut EventStream| stream.events_to_end().unwrap();
    let (early, mut late, back) = (rest(&mut early), rest(&mut late), rest(&mut back));
    late.retain(|event| event.last_event_id != first.last_event_id); // that was the last, or there is a later one
    for part in [&late, &back] {
        assert!(part.len() > 1 && early.ends_with(part), "{early:?}\n{part:?}");
    }
    assert_eq!(early.last().unwrap().event_type, "finish");

    // Steps only go forward, to the end.
    let bytes: Vec<_> = early[..early.len() - 1].iter().map(|step| number(&step.data, "bytes")).collect();
    assert!(bytes.windows(2).all(|pair| pair[0] <= pair[1]), "{bytes:?}");
    let last = &early[early.len() - 2];
    let end = r#"{"phase":"done","files":9,"of_files":9,"#;
    assert!(last.data.starts_with(end), "{last}");
    assert_eq!(number(&last.data, "bytes"), number(&last.data, "of_bytes"), "{last}");

    // It lasts: nobody is to come back, and the result is there for whoever comes.
    assert_eq!(tool.get("/events").status, 204);
    let result = String::from_utf8(tool.get("/result").body).unwrap();
    assert!(result.starts_with(r#"[{"step":{"phase":"done","files":9,"#), "{result}");
    assert_eq!(
        result
            .matches(
                r#""bytes":40960,"sha256":"672f5349216f25c12860319716042fc0d86695debb77e7b144d26f7ca4bc7286""#
            )
            .count(),
        8,
        "{result}"
    );
    eventually("the sums are written", || tool.output().lines().count() == 9);
    assert_eq!(String::from_utf8(tool.get("/SHA256SUMS").body).unwrap(), tool.output());
    eventually("it says where the result is", || tool.log().ends_with("until Ctrl-C\n"));
    let bars: Vec<_> = tool.log().split('\r').filter(|bar| bar.contains('░')).map(str::to_owned).collect();
    assert!(bars.len() > 1 && bars.iter().all(|bar| bar.chars().count() < 85), "{bars:?}");
}

/// The last file of a folder, which takes two minutes at 250 KiB a second: the job ends when it is emptied.
pub(crate) fn last_file(folder: &Path) -> File {
    let file = File::create(folder.join("zzz")).unwrap();
    file.set_len(30 << 20).unwrap();
    file
}

/// The first number of this name.
fn number(json: &str, name: &str) -> u64 {
    let digits = json.split(&format!("\"{name}\":")).nth(1).unwrap_or_else(|| panic!("no {name} in {json}"));
    digits.split(|char: char| !char.is_ascii_digit()).next().unwrap().parse().unwrap()
}

#[test]
fn arguments() {
    check_refusal("progress", &[], "a FOLDER is missing");
    check_refusal("progress", &["/nowhere"], "cannot read /nowhere: No such file or directory (os error 2)");
    check_refusal("progress", &["/", "/"], "there is no place for /");
    check_refusal("progress", &["--rate"], "--rate needs a value");
    check_refusal("progress", &["--rate", "0", "/"], "--rate is a number from 1 to 4294967295");
}
