-- A counter: the states of a rule's limits

local ALGORITHMS = { fixed_window, sliding_window, token_bucket, concurrency, fixed_window }

local function read_state(raw, position)
    local number, secs
    number, secs, position = unpack_from('<BI4', raw, position)
    local state, block
    if number == BLOCK then
        block = { level = secs }
        block.ends, number, secs, position = unpack_from('<I8BI4', raw, position)
        assert(block.level < MAX_LEVELS and block.ends <= MAX_TIME and number ~= CONCURRENCY)
    end
    if number == CONCURRENCY then
        local slots, latest, length
        slots, latest, length, position = unpack_from('<I8I8I4', raw, position)
        state = { slots = slots, latest = latest, held = raw:sub(position, position + length - 1) }
        position = position + length
        assert(#state.held == length)
    else
        state = { unpack_from(ALGORITHMS[number].form, raw, position) }
        position = table.remove(state)
    end
    assert(ALGORITHMS[number].is_valid(state))
    state.number, state.secs, state.block = number, secs, block
    return state, position
end

local function read_states(raw)
    local states, position = {}, 1
    while position <= #raw do
        assert(#states < MAX_LIMITS)
        states[#states + 1], position = read_state(raw, position)
    end
    return states
end

-- Bytes that are not states, or have a number out of its range, count as absent.
local function decode_or_none(raw)
    local ok, states = pcall(read_states, raw)
    return ok and #states > 0 and states
end

local function write_states(states)
    local raw = {}
    for i, state in ipairs(states) do
        if state.number == CONCURRENCY then
            raw[i] = pack('<BI4I8I8I4', state.number, state.secs, state.slots, state.latest, #state.held)
                .. state.held
        else
            raw[i] = pack('<BI4', state.number, state.secs) .. pack(ALGORITHMS[state.number].form, unpack(state))
        end
        if state.block then
            raw[i] = pack('<BI4I8', BLOCK, state.block.level, state.block.ends) .. raw[i]
        end
    end
    return table.concat(raw)
end

local function fresh_state(limit)
    if limit.number == CONCURRENCY then
        return { number = limit.number, secs = 0, slots = 0, latest = 0, held = '' }
    end
    return { number = limit.number, secs = limit.secs, unpack(ALGORITHMS[limit.number].fresh) }
end

local function belongs_to(state, limit)
    return state.number == limit.number and (state.secs == limit.secs or state.number == CONCURRENCY)
end

-- A limit continues with the first state left of the same algorithm and window.
local function align(counter, limits)
    local left, states = counter.states, {}
    for i, limit in ipairs(limits) do
        for at, state in ipairs(left) do
            if belongs_to(state, limit) then
                states[i] = table.remove(left, at)
                break
            end
        end
        states[i] = states[i] or fresh_state(limit)
    end
    counter.states, counter.limits = states, limits
end
