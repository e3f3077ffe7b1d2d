//! The `mcp` example before what others wrote: the official conformance suite, and the official clients.
//!
//! `MCP_CLIENTS` names a folder that has them; `.ci/run` makes one:
//!
//! ```text
//! npm i node@22 @modelcontextprotocol/conformance@0.2.0-alpha.12 @modelcontextprotocol/sdk@1 @modelcontextprotocol/client@2
//! python3 -m venv venv && venv/bin/pip install mcp==2.3.0
//! MCP_CLIENTS=$PWD cargo test --test it -- --ignored mcp_clients
//! ```

use std::path::PathBuf;
use std::process::{Command, Output};

use crate::example::Tool;
use crate::patience::eventually;

fn folder() -> PathBuf {
    PathBuf::from(std::env::var_os("MCP_CLIENTS").expect("MCP_CLIENTS is a folder with the clients"))
}

#[track_caller]
fn run(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command.arg("600").arg(folder().join(program)).args(arguments).current_dir(folder());
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}\n{said}\n{complained}");
    output
}

#[test]
#[ignore = "runs the MCP conformance suite (npm: node@22, @modelcontextprotocol/conformance)"]
fn the_conformance_suite_passes() {
    let tool = Tool::start("mcp", &["--everything"]);
    let url = format!("http://127.0.0.1:{}/mcp", tool.address.port());
    let suite = "node_modules/@modelcontextprotocol/conformance/dist/index.js";
    for (revision, scored) in [("2026-07-28", 37), ("2025-11-25", 30)] {
        let output =
            run("node_modules/node/bin/node", &[suite, "server", "--url", &url, "--requirements", revision]);
        // What it runs beyond the revision's list is named once more at its end.
        let said = String::from_utf8_lossy(&output.stdout);
        let (scores, beyond) = said.split_once("Not scored for").expect("the suite ends so");
        let passed = scores.lines().filter(|line| line.starts_with("✓ ")).count();
        let passed_beyond = beyond.lines().filter(|line| line.starts_with("  ✓ ")).count();
        assert_eq!(passed - passed_beyond, scored, "{revision}\n{said}");
    }
    assert!(!tool.log().contains("panicked"), "{}", tool.log());
}

/// Of both generations: this is what they have in common.
const JAVASCRIPT: &str = r#"
const client = new Client({ name: 'test', version: '1' }, OPTIONS);
await client.connect(new StreamableHTTPClientTransport(new URL('URL')));
const { tools } = await client.listTools();
const { resources } = await client.listResources();
if (tools.length !== 3 || resources.length === 0) throw new Error('something is missing');
const found = await call({ name: 'search', arguments: { text: 'forbid(unsafe_code)' } });
if (!found.content[0].text.includes('lib.rs:')) throw new Error(found.content[0].text);
const controller = new AbortController();
let heard = 0;
const slow = { name: 'checksums', arguments: { pause_ms: 60000 } };
await call(slow, { signal: controller.signal, onprogress: () => { heard++; controller.abort(); } })
  .then(() => { throw new Error('it was not cancelled'); }, () => {});
if (heard !== 1) throw new Error('there was no progress');
process.exit(0);
"#;

#[track_caller]
fn check_javascript(imports: &str, options: &str, call: &str) {
    let tool = Tool::start("mcp", &["--folder", "src"]);
    let script = JAVASCRIPT.replace("URL')", &format!("http://127.0.0.1:{}/mcp')", tool.address.port()));
    let script = format!("{imports}\n{call}\n{}", script.replace("OPTIONS", options));
    run("node_modules/node/bin/node", &["--input-type=module", "-e", &script]);
    eventually("the slow tool ends", || tool.log().contains("cancelled: tools/call checksums"));
}

#[test]
#[ignore = "runs an MCP client (npm: node@22, @modelcontextprotocol/sdk)"]
fn the_first_javascript_client() {
    check_javascript(
        "import { Client } from '@modelcontextprotocol/sdk/client/index.js';
         import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';",
        "{}",
        "const call = (params, options) => client.callTool(params, undefined, options);",
    );
}

#[test]
#[ignore = "runs an MCP client (npm: node@22, @modelcontextprotocol/client)"]
fn the_second_javascript_client_in_both_eras() {
    let imports = "import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';";
    let call = "const call = (params, options) => client.callTool(params, options);";
    check_javascript(imports, "{}", call);
    check_javascript(imports, "{ versionNegotiation: { mode: 'auto' } }", call);
}

#[test]
#[ignore = "runs an MCP client (PyPI: mcp)"]
fn the_python_client() {
    let tool = Tool::start("mcp", &["--folder", "src"]);
    let script = r#"
import asyncio
from mcp.client import Client

async def main():
    async with Client("URL") as client:
        assert len((await client.list_tools()).tools) == 3
        found = await client.call_tool("search", {"text": "forbid(unsafe_code)"})
        assert "lib.rs:" in found.content[0].text, found
        heard = asyncio.Event()
        async def on_progress(*_):
            heard.set()
        slow = client.call_tool("checksums", {"pause_ms": 60000}, progress_callback=on_progress)
        task = asyncio.create_task(slow)
        await asyncio.wait_for(heard.wait(), 60)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass

asyncio.run(main())
"#;
    let url = format!("http://127.0.0.1:{}/mcp", tool.address.port());
    run("venv/bin/python", &["-c", &script.replace("URL", &url)]);
    eventually("the slow tool ends", || tool.log().contains("cancelled: tools/call checksums"));
}
