-- Takes hits at counters, in order, each seeing those before it.
--
-- KEYS[i]   the counter of hit i: the states of a rule's limits for one client key, as src/limit/encoding.rs writes them
-- ARGV[1]   whose clock it is: 0 this server's, 1 the caller's; then the milliseconds a counter is kept after its end
-- ARGV[1+i] hit i, as src/store/redis/script.rs writes it
--
-- Gives back this server's time in microseconds, the error of the first write that failed or false, and for each hit
-- the states as it found them: bytes, false where nothing is counted, or 0 where the hit could not be counted.
--
-- Every algorithm does here what src/limit/ does, to the microsecond: all numbers are whole and below 2^53. What is told
-- of a counter is left to the caller, who steps from the states found here as this script does.

local LOOK, HITS, REFUND = 0, 1, 2
local MAX_COUNT = 2 ^ 52
local AHEAD = 1000000
local SLOTS = 16

local floor, max, min = math.floor, math.max, math.min
local pack, unpack_from = struct.pack, struct.unpack

-- fixed_window: start, count

local fixed_window = { form = '<I8I8', fresh = { 0, 0 } }

local function window_used(state, limit, now)
    if state[1] >= now - now % limit.length then
        return state[2]
    end
    return 0
end

local function window_write(state, limit, now, count)
    state[1] = max(state[1], now - now % limit.length)
    state[2] = count
end

function fixed_window.fits(state, limit, now, hits)
    return window_used(state, limit, now) + hits <= limit.requests
end

function fixed_window.add(state, limit, now, hits)
    window_write(state, limit, now, min(window_used(state, limit, now) + hits, MAX_COUNT))
end

function fixed_window.refund(state, limit, now, hits)
    window_write(state, limit, now, max(window_used(state, limit, now) - hits, 0))
end

function fixed_window.ends(state, limit, now)
    return state[1] + limit.length
end

-- sliding_window: newest slot, counts of 17 slots; slot n stands at n % 17

local sliding_window = { form = '<' .. string.rep('I8', SLOTS + 2), fresh = {} }
for i = 1, SLOTS + 2 do
    sliding_window.fresh[i] = 0
end

local function slot_at(limit, now)
    return floor(now / (limit.length / SLOTS))
end

local function slot_place(slot)
    return 2 + slot % (SLOTS + 1)
end

local function slots_used(state, limit, now)
    local used = 0
    for slot = max(max(slot_at(limit, now), state[1]) - SLOTS, 0), state[1] do
        used = used + state[slot_place(slot)]
    end
    return used
end

local function slots_advance(state, limit, now)
    local current = max(slot_at(limit, now), state[1])
    local passed = min(current - state[1], SLOTS + 1)
    for slot = current + 1 - passed, current do
        state[slot_place(slot)] = 0
    end
    state[1] = current
end

function sliding_window.fits(state, limit, now, hits)
    return slots_used(state, limit, now) + hits <= limit.requests
end

function sliding_window.add(state, limit, now, hits)
    local room = max(MAX_COUNT - slots_used(state, limit, now), 0)
    slots_advance(state, limit, now)
    local place = slot_place(state[1])
    state[place] = state[place] + min(hits, room)
end

function sliding_window.refund(state, limit, now, hits)
    slots_advance(state, limit, now)
    for slot = max(state[1] - SLOTS, 0), state[1] do
        local place = slot_place(slot)
        local taken = min(hits, state[place])
        state[place] = state[place] - taken
        hits = hits - taken
    end
end

function sliding_window.ends(state, limit, now)
    return (state[1] + 1 + SLOTS) * (limit.length / SLOTS)
end

-- token_bucket: when the debt was reckoned, the debt in parts, the parts of a hit

local token_bucket = { form = '<I8I8I8', fresh = { 0, 0, 0 } }

-- a * b / c, rounded up, at most MAX_COUNT, where a * b may be far beyond 2^53.
local function times_over(a, b, c)
    local whole, rest = floor(b / c), b % c
    local quotient, left = 0, 0
    for bit = 52, 0, -1 do
        quotient, left = quotient * 2, left * 2
        if floor(a / 2 ^ bit) % 2 == 1 then
            quotient, left = quotient + whole, left + rest
        end
        quotient, left = quotient + floor(left / c), left % c
        if quotient > MAX_COUNT then
            return MAX_COUNT
        end
    end
    if left > 0 then
        quotient = quotient + 1
    end
    return min(quotient, MAX_COUNT)
end

local function bucket_debt(state, limit, now)
    local parts = state[2]
    if parts > 0 and state[3] ~= limit.cost then
        parts = times_over(parts, limit.cost, max(state[3], 1))
    end
    return max(parts - max(now - state[1], 0) * limit.payback, 0)
end

local function bucket_write(state, limit, now, parts)
    state[1], state[2], state[3] = max(state[1], now), parts, limit.cost
end

function token_bucket.fits(state, limit, now, hits)
    return limit.requests > 0 and bucket_debt(state, limit, now) + hits * limit.cost <= limit.capacity
end

function token_bucket.add(state, limit, now, hits)
    bucket_write(state, limit, now, min(bucket_debt(state, limit, now) + hits * limit.cost, MAX_COUNT))
end

function token_bucket.refund(state, limit, now, hits)
    bucket_write(state, limit, now, max(bucket_debt(state, limit, now) - hits * limit.cost, 0))
end

function token_bucket.ends(state, limit, now)
    if limit.payback == 0 then
        return state[1] + limit.length
    end
    return state[1] + state[2] / limit.payback
end

local ALGORITHMS = { fixed_window, sliding_window, token_bucket }

-- A counter: the states of its limits

local function read_states(raw)
    local states, position = {}, 1
    while position <= #raw do
        local number, secs
        number, secs, position = unpack_from('<BI4', raw, position)
        local state = { unpack_from(ALGORITHMS[number].form, raw, position) }
        position = table.remove(state)
        state.number, state.secs = number, secs
        states[#states + 1] = state
    end
    return states
end

local function fresh_state(limit)
    return { number = limit.number, secs = limit.secs, unpack(ALGORITHMS[limit.number].fresh) }
end

-- A limit goes on with the first state left of the same algorithm and window.
local function align(left, limits)
    local states = {}
    for i, limit in ipairs(limits) do
        for at, state in ipairs(left) do
            if state.number == limit.number and state.secs == limit.secs then
                states[i] = table.remove(left, at)
                break
            end
        end
        states[i] = states[i] or fresh_state(limit)
    end
    return states
end

local function write_states(states)
    local raw = {}
    for i, state in ipairs(states) do
        raw[i] = pack('<BI4', state.number, state.secs) .. pack(ALGORITHMS[state.number].form, unpack(state))
    end
    return table.concat(raw)
end

-- A hit

local function read_hit(raw)
    local hit, limits, position = {}, {}, nil
    hit.cost, hit.always, hit.active, hit.hits, hit.now, position = unpack_from('<BBI2I4I8', raw)
    while position <= #raw do
        local limit = {}
        limit.number, limit.shadow, limit.secs, limit.requests, position = unpack_from('<BBI4I4', raw, position)
        limit.length = limit.secs * 1000000
        if limit.number == 3 then
            limit.cost, limit.payback, limit.capacity, position = unpack_from('<I8I8I8', raw, position)
        end
        limits[#limits + 1] = limit
        limit.active = floor(hit.active / 2 ^ (#limits - 1)) % 2 == 1
    end
    return hit, limits
end

-- Takes the hit, and tells whether anything has to be written.
local function step(hit, limits, states, now)
    if hit.cost == REFUND then
        for i, limit in ipairs(limits) do
            if limit.active then
                ALGORITHMS[limit.number].refund(states[i], limit, now, hit.hits)
            end
        end
        return true
    end
    local over, refused = {}, false
    for i, limit in ipairs(limits) do
        if limit.active then
            over[i] = not ALGORITHMS[limit.number].fits(states[i], limit, now, hit.hits)
            refused = refused or (over[i] and limit.shadow == 0)
        end
    end
    local charged = false
    for i, limit in ipairs(limits) do
        if limit.active and (hit.always == 1 or not (refused or over[i])) then
            ALGORITHMS[limit.number].add(states[i], limit, now, hit.hits)
            charged = true
        end
    end
    return charged
end

local function lifetime(limits, states, now, kept)
    local ends = now
    for i, limit in ipairs(limits) do
        ends = max(ends, ALGORITHMS[limit.number].ends(states[i], limit, now))
    end
    return string.format('%.0f', math.ceil((ends - now) / 1000) + kept)
end

local by_caller, kept = unpack_from('<BI8', ARGV[1])
local time = redis.call('TIME')
local server_now = time[1] * 1000000 + time[2]

local failure = false
local found = {}
for i, key in ipairs(KEYS) do
    local raw = redis.pcall('GET', key)
    found[i] = raw
    local hit, limits = read_hit(ARGV[1 + i])
    local now = server_now
    if by_caller == 1 then
        now = min(hit.now, server_now + AHEAD)
    end
    if raw and raw.err then
        failure = failure or raw.err
        found[i] = 0
    elseif hit.cost == HITS or (hit.cost == REFUND and raw) then
        local states = align(read_states(raw or ''), limits)
        if step(hit, limits, states, now) then
            local written = redis.pcall('SET', key, write_states(states), 'PX', lifetime(limits, states, now, kept))
            if written.err then
                failure = failure or written.err
                found[i] = 0
            end
        end
    end
end
return { server_now, failure, unpack(found) }
