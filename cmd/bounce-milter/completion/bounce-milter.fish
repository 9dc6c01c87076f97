# Completion of bounce-milter's arguments for fish. The program itself knows what
# may come next: one word a line with its meaning behind a tab, or ":files".

function __bounce_milter_complete
    set -l words (commandline --tokenize --cut-at-cursor --current-process)
    set -l cur (commandline --cut-at-cursor --current-token)
    for line in (command $words[1] __complete -- $words[2..] "$cur" 2>/dev/null)
        if test "$line" = :files
            set -l lead (string match --regex '^--[a-z-]+=' -- $cur)
            for path in (__fish_complete_path (string replace --regex '^--[a-z-]+=' '' -- $cur))
                echo "$lead$path"
            end
        else
            echo "$line"
        end
    end
end

complete --command bounce-milter --no-files --arguments '(__bounce_milter_complete)'
