//! What the official conformance suite asks of a server: a tool, prompt or resource for each of its scenarios.
//!
//! The names and most of the texts are the suite's (`SERVER_REQUIREMENTS.md` of modelcontextprotocol/conformance).
//! What would need a session in the legacy era, subscriptions and the level of the log, is answered, and does nothing.

use std::time::Duration;

use brooklet::to_json;

use crate::json::Json;
use crate::protocol::{from_user, text, Call, Change, Outcome, Question, Resources, Server, Stop};

/// One red pixel.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/// No samples.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";
const NOTHING: &str = r#"{"type":"object","properties":{}}"#;
const PAUSE: Duration = Duration::from_millis(50);

const NAME: &str = r#"{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}"#;
const COLOR: &str = r#"{"type":"object","properties":{"color":{"type":"string"}},"required":["color"]}"#;
const OK: &str = r#"{"type":"object","properties":{"ok":{"type":"boolean"}},"required":["ok"]}"#;
const CONTEXT: &str =
    r#"{"type":"object","properties":{"context":{"type":"string"}},"required":["context"]}"#;
const PERSON: &str = r#"{"type":"object","properties":{"username":{"type":"string","description":"User's response"},"email":{"type":"string","description":"User's email address"}},"required":["username","email"]}"#;
const DEFAULTS: &str = r#"{"type":"object","properties":{"name":{"type":"string","default":"John Doe"},"age":{"type":"integer","default":30},"score":{"type":"number","default":95.5},"status":{"type":"string","enum":["active","inactive","pending"],"default":"active"},"verified":{"type":"boolean","default":true}},"required":[]}"#;
const ENUMS: &str = r#"{"type":"object","properties":{"untitledSingle":{"type":"string","enum":["option1","option2","option3"]},"titledSingle":{"type":"string","oneOf":[{"const":"value1","title":"First Option"},{"const":"value2","title":"Second Option"},{"const":"value3","title":"Third Option"}]},"legacyEnum":{"type":"string","enum":["opt1","opt2","opt3"],"enumNames":["Option One","Option Two","Option Three"]},"untitledMulti":{"type":"array","items":{"type":"string","enum":["option1","option2","option3"]}},"titledMulti":{"type":"array","items":{"anyOf":[{"const":"value1","title":"First Choice"},{"const":"value2","title":"Second Choice"},{"const":"value3","title":"Third Choice"}]}}},"required":[]}"#;

pub fn server() -> Server {
    let mut server = Server::new(
        "everything",
        Resources {
            list: Box::new(|| {
                vec![
                    resource("static-text", "text/plain"),
                    resource("static-binary", "image/png"),
                    resource("watched-resource", "text/plain"),
                ]
            }),
            templates: r#"[{"uriTemplate":"test://template/{id}/data","name":"template","description":"Data by its id","mimeType":"application/json"}]"#,
            read: Box::new(read),
        },
    );
    server.accepted = &["logging/setLevel", "resources/subscribe", "resources/unsubscribe"];
    server.complete = Box::new(|_, _, value| {
        ["paris", "park", "party"]
            .into_iter()
            .filter(|known| known.starts_with(value))
            .map(String::from)
            .collect()
    });
    add_contents(&mut server);
    add_running(&mut server);
    add_asking(&mut server);
    add_prompts(&mut server);
    server
}

fn resource(name: &str, media_type: &str) -> String {
    format!(
        r#"{{"uri":"test://{name}","name":"{name}","description":"A resource for tests","mimeType":"{media_type}"}}"#
    )
}

fn read(uri: &str) -> Option<String> {
    match uri {
        "test://static-text" => {
            Some(contents(uri, "text/plain", "This is the content of the static text resource."))
        }
        "test://watched-resource" => Some(contents(uri, "text/plain", "Nothing happens here.")),
        "test://static-binary" => Some(format!(r#"{{"uri":"{uri}","mimeType":"image/png","blob":"{PNG}"}}"#)),
        _ => {
            let id = uri.strip_prefix("test://template/")?.strip_suffix("/data")?;
            let id = to_json(id);
            let data = format!(r#"{{"id":{id},"templateTest":true,"data":"Data"}}"#);
            Some(contents(uri, "application/json", &data))
        }
    }
}

fn contents(uri: &str, media_type: &str, text: &str) -> String {
    format!(r#"{{"uri":{},"mimeType":"{media_type}","text":{}}}"#, to_json(uri), to_json(text))
}

fn embedded(uri: &str, media_type: &str, text: &str) -> String {
    format!(r#"{{"type":"resource","resource":{}}}"#, contents(uri, media_type, text))
}

fn image() -> String {
    format!(r#"{{"type":"image","data":"{PNG}","mimeType":"image/png"}}"#)
}

/// Tools that give content of each kind.
fn add_contents(server: &mut Server) {
    server.tool("test_simple_text", "A text", NOTHING, |_| {
        Ok(vec![text("This is a simple text response for testing.")])
    });
    server.tool("test_image_content", "An image", NOTHING, |_| Ok(vec![image()]));
    server.tool("test_audio_content", "A sound", NOTHING, |_| {
        Ok(vec![format!(r#"{{"type":"audio","data":"{WAV}","mimeType":"audio/wav"}}"#)])
    });
    server.tool("test_embedded_resource", "A resource", NOTHING, |_| {
        Ok(vec![embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")])
    });
    server.tool("test_multiple_content_types", "A text, an image and a resource", NOTHING, |_| {
        let json = r#"{"test":"data","value":123}"#;
        let resource = embedded("test://mixed-content-resource", "application/json", json);
        Ok(vec![text("Multiple content types test:"), image(), resource])
    });
    server.tool("test_error_handling", "Fails", NOTHING, |_| {
        Err("This tool intentionally returns an error for testing".into())
    });
    let schema = r#"{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}"#;
    server.tool("test_x_mcp_header", "Has an argument that is a field, too", schema, |_| {
        Ok(vec![text("good")])
    });
    let schema = r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","$defs":{"address":{"$anchor":"addressDef","type":"object","properties":{"street":{"type":"string"},"city":{"type":"string"}}}},"properties":{"name":{"type":"string"},"address":{"$ref":"#/$defs/address"},"contactMethod":{"type":"string","enum":["phone","email"]},"phone":{"type":"string"},"email":{"type":"string"}},"allOf":[{"anyOf":[{"required":["phone"]},{"required":["email"]}]}],"if":{"properties":{"contactMethod":{"const":"phone"}},"required":["contactMethod"]},"then":{"required":["phone"]},"else":{"required":["email"]},"additionalProperties":false}"##;
    server.tool("json_schema_2020_12_tool", "Has a schema with all keywords", schema, |_| {
        Ok(vec![text("good")])
    });
}

/// Tools that tell something meanwhile.
fn add_running(server: &mut Server) {
    server.tool("test_tool_with_progress", "Tells how far it is", NOTHING, |call| {
        for done in [0, 50, 100] {
            call.progress(done, 100, "going on")?;
            call.wait(PAUSE)?;
        }
        Ok(vec![text("done")])
    });
    server.tool("test_tool_with_logging", "Tells what it does", NOTHING, log);
    server.tool("test_logging_tool", "Tells what it does", NOTHING, log);
    server.tool("test_trigger_tool_change", "Tells that the tools have changed", NOTHING, |call| {
        call.server.changed(&Change::Tools);
        Ok(vec![text("done")])
    });
    server.tool("test_trigger_prompt_change", "Tells that the prompts have changed", NOTHING, |call| {
        call.server.changed(&Change::Prompts);
        Ok(vec![text("done")])
    });
}

fn log(call: &mut Call<'_, '_>) -> Outcome {
    for what in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
        call.log("info", what)?;
        call.wait(PAUSE)?;
    }
    Ok(vec![text("done")])
}

/// Tools that ask the client.
fn add_asking(server: &mut Server) {
    let schema = r#"{"type":"object","properties":{"prompt":{"type":"string"}},"required":["prompt"]}"#;
    server.tool("test_sampling", "Asks the client's model", schema, |call| {
        let answer = sample(call, "answer", &call.text("prompt")?)?;
        Ok(vec![text(&format!("LLM response: {answer}"))])
    });
    let schema = r#"{"type":"object","properties":{"message":{"type":"string"}},"required":["message"]}"#;
    server.tool("test_elicitation", "Asks the client's user", schema, |call| {
        let answer = elicit(call, "person", &call.text("message")?, PERSON)?;
        Ok(vec![text(&format!("User response: {answer}"))])
    });
    server.tool("test_elicitation_sep1034_defaults", "Asks with defaults", NOTHING, |call| {
        let answer = elicit(call, "defaults", "Please look at these values", DEFAULTS)?;
        Ok(vec![text(&format!("Elicitation completed: {answer}"))])
    });
    server.tool("test_elicitation_sep1330_enums", "Asks for choices", NOTHING, |call| {
        let answer = elicit(call, "enums", "Please choose", ENUMS)?;
        Ok(vec![text(&format!("Elicitation completed: {answer}"))])
    });
    server
        .tool("test_missing_capability", "Needs a client with a model", NOTHING, |call| {
            Ok(vec![text(&sample(call, "answer", "Hello?")?)])
        })
        .needs = Some("sampling");
    server
        .tool("test_streaming_elicitation", "Asks after a while", NOTHING, |call| {
            call.progress(0, 1, "about to ask")?;
            let answer = elicit(call, "confirm", "Please confirm", OK)?;
            Ok(vec![text(&answer)])
        })
        .needs = Some("elicitation");
    server.tool("test_input_required_result_elicitation", "Asks for a name", NOTHING, |call| {
        Ok(vec![text(&format!(
            "Hello, {}!",
            member(&elicit(call, "user_name", "What is your name?", NAME)?, "name")
        ))])
    });
    server.tool("test_input_required_result_sampling", "Asks a model", NOTHING, |call| {
        Ok(vec![text(&sample(call, "capital_question", "What is the capital of France?")?)])
    });
    server.tool("test_input_required_result_list_roots", "Asks for roots", NOTHING, |call| {
        Ok(vec![text(&call.ask("client_roots", "roots/list", "{}")?)])
    });
    server.tool("test_input_required_result_request_state", "Asks, and knows it again", NOTHING, |call| {
        elicit(call, "confirm", "Please confirm", OK)?;
        Ok(vec![text(if call.is_repeated { "state-ok" } else { "the state is missing" })])
    });
    server.tool(
        "test_input_required_result_tampered_state",
        "Asks, and takes no forged state",
        NOTHING,
        |call| {
            elicit(call, "confirm", "Please confirm", OK)?;
            Ok(vec![text("confirmed")])
        },
    );
    server.tool("test_input_required_result_multi_round", "Asks twice", NOTHING, |call| {
        let name = elicit(call, "step1", "Step 1: What is your name?", NAME)?;
        let color = elicit(call, "step2", "Step 2: What is your favorite color?", COLOR)?;
        Ok(vec![text(&format!("{} likes {}", member(&name, "name"), member(&color, "color")))])
    });
    server.tool("test_input_required_result_multiple_inputs", "Asks three things at once", NOTHING, |call| {
        let name = form("What is your name?", NAME);
        let greeting = for_model("Generate a greeting", 50);
        let answers = call.ask_all(&[
            Question { key: "user_name", method: "elicitation/create", params: &name },
            Question { key: "greeting", method: "sampling/createMessage", params: &greeting },
            Question { key: "client_roots", method: "roots/list", params: "{}" },
        ])?;
        Ok(vec![text(&answers.join("\n"))])
    });
    server.tool("test_input_required_result_capabilities", "Asks what the client can do", NOTHING, |call| {
        let answer = match (call.can("sampling"), call.can("elicitation")) {
            (true, _) => sample(call, "greeting", "Generate a greeting")?,
            (false, true) => elicit(call, "user_name", "What is your name?", NAME)?,
            (false, false) => String::from("there is nobody to ask"),
        };
        Ok(vec![text(&answer)])
    });
}

fn add_prompts(server: &mut Server) {
    server.prompt("test_simple_prompt", "A text", "[]", |_| {
        Ok(vec![from_user(&text("This is a simple prompt for testing."))])
    });
    let arguments = r#"[{"name":"arg1","description":"First test argument","required":true},{"name":"arg2","description":"Second test argument","required":true}]"#;
    server.prompt("test_prompt_with_arguments", "A text of two", arguments, |call| {
        let (one, two) = (call.text("arg1")?, call.text("arg2")?);
        Ok(vec![from_user(&text(&format!("Prompt with arguments: arg1='{one}', arg2='{two}'")))])
    });
    let arguments =
        r#"[{"name":"resourceUri","description":"URI of the resource to embed","required":true}]"#;
    server.prompt("test_prompt_with_embedded_resource", "A resource", arguments, |call| {
        let resource =
            embedded(&call.text("resourceUri")?, "text/plain", "Embedded resource content for testing.");
        Ok(vec![from_user(&resource), from_user(&text("Please process the embedded resource above."))])
    });
    server.prompt("test_prompt_with_image", "An image", "[]", |_| {
        Ok(vec![from_user(&image()), from_user(&text("Please analyze the image above."))])
    });
    server.prompt("test_input_required_result_prompt", "Asks for a context", "[]", |call| {
        let context = elicit(call, "user_context", "What context should the prompt use?", CONTEXT)?;
        Ok(vec![from_user(&text(&format!("In this context: {}", member(&context, "context"))))])
    });
}

fn form(message: &str, schema: &str) -> String {
    format!(r#"{{"mode":"form","message":{},"requestedSchema":{schema}}}"#, to_json(message))
}

fn for_model(question: &str, max_tokens: u32) -> String {
    let question = text(question);
    format!(r#"{{"messages":[{{"role":"user","content":{question}}}],"maxTokens":{max_tokens}}}"#)
}

/// Asks the client's user, and gives the whole answer.
fn elicit(call: &mut Call<'_, '_>, key: &str, message: &str, schema: &str) -> Result<String, Stop> {
    call.ask(key, "elicitation/create", &form(message, schema))
}

/// Asks the client's model, and gives what it says.
fn sample(call: &mut Call<'_, '_>, key: &str, question: &str) -> Result<String, Stop> {
    let answer = call.ask(key, "sampling/createMessage", &for_model(question, 100))?;
    let said = Json::read(&answer)
        .ok()
        .and_then(|answer| answer.object()?.get("content")?.object()?.get("text")?.string());
    said.ok_or_else(|| Stop::from("the model said no text"))
}

/// A member of what was filled in.
fn member(answer: &str, name: &str) -> String {
    let answer = Json::read(answer)
        .ok()
        .and_then(|answer| answer.object()?.get("content")?.object()?.get(name)?.string());
    answer.unwrap_or_else(|| String::from("nobody"))
}
