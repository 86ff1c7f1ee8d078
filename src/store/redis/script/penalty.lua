-- Penalties: a limit blocks a counter after a breach; the block is kept beside what the state counts. limit.blocks has their
-- lengths in microseconds, the shortest first breach first, and limit.longest the longest of them.

local function is_blocked(state, limit, now)
    return limit.blocks and state.block and state.block.ends > now
end

-- A breach counts as repeated until as much time has passed since the last block as the longest one lasts.
local function begin_block(state, limit, now)
    local last, level = state.block, 0
    if last and now < last.ends + limit.longest then
        level = min(last.level + 1, #limit.blocks - 1)
    end
    state.block = { level = level, ends = now + limit.blocks[level + 1] }
end

-- Shortens a block that is longer than any of the limit.
local function correct_block(state, limit, now)
    if limit.blocks and state.block and state.block.ends > now + limit.longest then
        state.block.ends = now + limit.longest
        return true
    end
    return false
end

-- When nothing depends on the block any more.
local function block_ends(state, limit, now)
    if not (limit.blocks and state.block) then
        return now
    end
    return state.block.ends + (#limit.blocks > 1 and limit.longest or 0)
end
