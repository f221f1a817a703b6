// ftengine: parameter-efficient fine-tuning from a YAML file.
#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>

#include "engine/core/check.h"
#include "tools/ftengine/commands.h"
#include "tools/ftengine/process_title.h"
#include "tools/ftengine/version.h"

namespace ft {
int exit_code = 0;
}

int main(int argc, char** argv) {
  ft::keep_command_line(argc, argv);
  std::signal(SIGXFSZ,
              SIG_IGN);  // a limit of file size is an error like a full disk, not the end of the process
  CLI::App app(
      "Fine-tunes transformer language models parameter-efficiently, on the CPU, from a YAML file.\n"
      "Start with `ftengine run exp.yaml`; `ftengine COMMAND --help` explains each command.",
      "ftengine");
  app.set_version_flag("--version", [] { return ft::version_text(); });
  app.require_subcommand(1);
  app.footer("Exit codes: 0 done, 1 the run failed, 2 bad input, 130 interrupted after a clean checkpoint.");
  ft::register_run(app);
  ft::register_check(app);
  ft::register_generate(app);
  ft::register_chat(app);
  ft::register_tokenize(app);
  ft::register_merge(app);
  ft::register_combine(app);
  ft::register_inspect(app);
  ft::register_verify(app);
  ft::register_list(app);
  ft::register_make_tiny_model(app);
  try {
    app.parse(argc, argv);
    return ft::exit_code;
  } catch (const CLI::CallForHelp& e) {
    return app.exit(e);
  } catch (const CLI::CallForAllHelp& e) {
    return app.exit(e);
  } catch (const CLI::CallForVersion& e) {
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    fmt::print(stderr, "error: {}; see ftengine --help\n", e.what());
    return 2;
  } catch (const ft::InputError& e) {
    fmt::print(stderr, "error: {}\n", e.what());
    return 2;
  } catch (const std::bad_alloc&) {
    fmt::print(
        stderr,
        "error: out of memory; use a smaller model, a shorter data.max_length, or model.dtype: bfloat16\n");
    return 1;
  } catch (const std::exception& e) {
    fmt::print(stderr, "error: {}\n", e.what());
    return 1;
  }
}
