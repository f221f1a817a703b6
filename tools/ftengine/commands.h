// The subcommands of the program, one file each. A callback throws ft::Error or ft::InputError; main() turns
// it into a line on stderr and an exit code.
#pragma once

namespace CLI {
class App;
}

namespace ft {

void register_run(CLI::App& app);
void register_check(CLI::App& app);
void register_generate(CLI::App& app);
void register_chat(CLI::App& app);
void register_tokenize(CLI::App& app);
void register_merge(CLI::App& app);
void register_combine(CLI::App& app);
void register_inspect(CLI::App& app);
void register_verify(CLI::App& app);
void register_list(CLI::App& app);
void register_make_tiny_model(CLI::App& app);

/// What the callback leaves for main() to return (0 unless it says otherwise; 130 after an interrupt).
extern int exit_code;

}  // namespace ft
