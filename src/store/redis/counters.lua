-- Takes batches of hits, in order, each seeing those before it. A batch is what one request asks for.
--
-- KEYS       the counters of all batches: the states of a rule's limits for one client key, as src/limit/encoding.rs
--            writes them
-- ARGV[1]    whose clock it is: 0 this server's, 1 the caller's; then the milliseconds a counter is kept after its end
-- ARGV[1+i]  batch i, as src/store/redis/script.rs writes it
--
-- Gives back this server's time in microseconds, the error of the first write that failed or false, and for each counter
-- what its batch found: the states as bytes, false where nothing is counted, or 0 where it could not be counted.
--
-- Everything here does what src/limit/ and src/store/batch.rs do, to the microsecond: all numbers are whole and below
-- 2^53. What is told of a counter is left to the caller, who steps from the states found here as this script does.

local LOOK, HITS, REFUND, GIVE_BACK = 0, 1, 2, 3
local DECIDES, QUOTA = 0, 1
local WHOLE, WITHOUT_SLOTS, ONLY_ALWAYS = 0, 1, 2
local TOKEN_BUCKET, CONCURRENCY = 3, 4
local MAX_COUNT = 2 ^ 52
local AHEAD = 1000000
local SLOTS = 16

local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min
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

-- concurrency: slots held in all, the latest moment at which some were granted, and who holds them: leases of 28 bytes, those that end first at the front

local LEASE, NOBODYS = 28, string.rep('\0', 16)
local concurrency = {}

local function lease_until(state, at)
    return (unpack_from('<I8', state.held, (at - 1) * LEASE + 17))
end

local function lease_slots(state, at)
    return (unpack_from('<I4', state.held, (at - 1) * LEASE + 25))
end

-- How many leases end at that moment or before.
local function leases_until(state, moment)
    local low, high = 0, #state.held / LEASE
    while low < high do
        local middle = ceil((low + high) / 2)
        if lease_until(state, middle) <= moment then
            low = middle
        else
            high = middle - 1
        end
    end
    return low
end

local function slots_of(state, count)
    local slots = 0
    for at = 1, count do
        slots = slots + lease_slots(state, at)
    end
    return slots
end

local function forget_ended(state, now)
    local ended = leases_until(state, now)
    state.slots = state.slots - slots_of(state, ended)
    state.held = state.held:sub(ended * LEASE + 1)
end

local function take_slots(state, limit, now, lease, slots)
    forget_ended(state, now)
    state.latest = max(state.latest, now)
    local ends = state.latest + limit.length
    local place = leases_until(state, ends) * LEASE
    state.held = state.held:sub(1, place) .. lease .. pack('<I8I4', ends, slots) .. state.held:sub(place + 1)
    state.slots = state.slots + slots
end

local function give_back(states, now, lease)
    local freed = false
    for _, state in ipairs(states) do
        if state.number == CONCURRENCY then
            forget_ended(state, now)
            local found = lease ~= NOBODYS and state.held:find(lease, 1, true)
            while found and found % LEASE ~= 1 do
                found = state.held:find(lease, found + 1, true)
            end
            if found then
                state.slots = state.slots - lease_slots(state, (found - 1) / LEASE + 1)
                state.held = state.held:sub(1, found - 1) .. state.held:sub(found + LEASE)
                freed = true
            end
        end
    end
    return freed
end

function concurrency.fits(state, limit, now, hits)
    return state.slots - slots_of(state, leases_until(state, now)) + hits <= limit.requests
end

function concurrency.add() end

function concurrency.refund() end

function concurrency.ends(state, limit, now)
    local count = #state.held / LEASE
    return count > 0 and lease_until(state, count) or now
end

local ALGORITHMS = { fixed_window, sliding_window, token_bucket, concurrency }

-- A counter: the states of a rule's limits

local function read_state(raw, position)
    local number, secs
    number, secs, position = unpack_from('<BI4', raw, position)
    local state
    if number == CONCURRENCY then
        local slots, latest, length
        slots, latest, length, position = unpack_from('<I8I8I4', raw, position)
        state = { slots = slots, latest = latest, held = raw:sub(position, position + length - 1) }
        position = position + length
    else
        state = { unpack_from(ALGORITHMS[number].form, raw, position) }
        position = table.remove(state)
    end
    state.number, state.secs = number, secs
    return state, position
end

local function read_states(raw)
    local states, position = {}, 1
    while position <= #raw do
        states[#states + 1], position = read_state(raw, position)
    end
    return states
end

-- What is no state counts as if it were not there.
local function found_states(raw)
    local ok, states = pcall(read_states, raw or '')
    return ok and states or {}
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
    end
    return table.concat(raw)
end

local function fresh_state(limit)
    if limit.number == CONCURRENCY then
        return { number = limit.number, secs = 0, slots = 0, latest = 0, held = '' }
    end
    return { number = limit.number, secs = limit.secs, unpack(ALGORITHMS[limit.number].fresh) }
end

local function belongs(state, limit)
    return state.number == limit.number and (state.secs == limit.secs or state.number == CONCURRENCY)
end

-- A limit goes on with the first state left of the same algorithm and window.
local function align(counter, limits)
    local left, states = counter.states, {}
    for i, limit in ipairs(limits) do
        for at, state in ipairs(left) do
            if belongs(state, limit) then
                states[i] = table.remove(left, at)
                break
            end
        end
        states[i] = states[i] or fresh_state(limit)
    end
    counter.states, counter.limits = states, limits
end

-- A batch

local function read_limits(raw, position, count, active)
    local limits = { has_leases = false }
    for i = 1, count do
        local limit = {}
        limit.number, limit.shadow, limit.secs, limit.requests, position = unpack_from('<BBI4I4', raw, position)
        limit.length = limit.secs * 1000000
        if limit.number == TOKEN_BUCKET then
            limit.cost, limit.payback, limit.capacity, position = unpack_from('<I8I8I8', raw, position)
        end
        limit.active = floor(active / 2 ^ (i - 1)) % 2 == 1
        limits.has_leases = limits.has_leases or limit.number == CONCURRENCY
        limits[i] = limit
    end
    return limits, position
end

local function read_hit(raw, position)
    local hit, active, count, has_lease = {}, nil, nil, nil
    hit.counter, hit.cost, hit.always, hit.weight, hit.hits, active, count, has_lease, position =
        unpack_from('<I2BBBI4I2BB', raw, position)
    if has_lease == 1 then
        hit.lease = raw:sub(position, position + 15)
        position = position + 16
    end
    hit.limits, position = read_limits(raw, position, count, active)
    return hit, position
end

local function read_batch(raw)
    local batch, position = { hits = {} }, nil
    batch.atomic, batch.joint, batch.counters, batch.now, position = unpack_from('<BBI2I8', raw)
    while position <= #raw do
        batch.hits[#batch.hits + 1], position = read_hit(raw, position)
    end
    return batch
end

local function refund(hit, counter, now, freed)
    if hit.lease and hit.limits.has_leases then
        if give_back(counter.states, now, hit.lease) then
            freed[hit.lease] = true
            counter.written = true
        end
    elseif not hit.lease or (freed[hit.lease] and not hit.limits.has_leases) then
        for i, limit in ipairs(hit.limits) do
            if limit.active then
                ALGORITHMS[limit.number].refund(counter.states[i], limit, now, hit.hits)
            end
        end
        -- Where nothing was counted there is nothing to give back.
        counter.written = counter.written or counter.raw
    end
end

local function charge(hit, counter, now, extent)
    for i, limit in ipairs(hit.limits) do
        if limit.active then
            local charged
            if hit.always == 1 then
                charged = true
            elseif extent == ONLY_ALWAYS or (extent == WITHOUT_SLOTS and limit.number == CONCURRENCY) then
                charged = false
            else
                charged = not (hit.refused or hit.over[i])
            end
            if charged then
                if limit.number == CONCURRENCY then
                    take_slots(counter.states[i], limit, now, hit.lease or NOBODYS, hit.hits)
                else
                    ALGORITHMS[limit.number].add(counter.states[i], limit, now, hit.hits)
                end
                counter.written = true
            end
        end
    end
end

local function try(hit, counter, now, freed)
    hit.refused = false
    if hit.cost == REFUND then
        refund(hit, counter, now, freed)
    else
        hit.over = {}
        for i, limit in ipairs(hit.limits) do
            if limit.active then
                hit.over[i] = not ALGORITHMS[limit.number].fits(counter.states[i], limit, now, hit.hits)
                hit.refused = hit.refused or (hit.over[i] and limit.shadow == 0)
            end
        end
        charge(hit, counter, now, WHOLE)
    end
end

-- Whether a look is refused, as src/limit/step.rs has it.
local function look(hit, counter, now)
    hit.refused = false
    for i, limit in ipairs(hit.limits) do
        if limit.active and limit.shadow == 0 then
            local asked = (hit.always == 1 and limit.number == 1) and 0 or 1
            if not ALGORITHMS[limit.number].fits(counter.states[i], limit, now, asked) then
                hit.refused = true
            end
        end
    end
end

local function take_all(batch, counters, now)
    local freed = {}
    for _, hit in ipairs(batch.hits) do
        local counter = counters[hit.counter]
        align(counter, hit.limits)
        if hit.cost == LOOK then
            look(hit, counter, now)
        else
            try(hit, counter, now, freed)
        end
    end
end

local function is_refused(batch)
    local over, quotas, quotas_over = false, 0, 0
    for _, hit in ipairs(batch.hits) do
        if hit.weight == DECIDES then
            over = over or hit.refused
        elseif hit.weight == QUOTA then
            quotas = quotas + 1
            quotas_over = quotas_over + (hit.refused and 1 or 0)
        end
    end
    return over or (quotas > 0 and quotas == quotas_over)
end

-- Takes back what the batch has written, and writes what is written although the request is refused.
local function withhold(batch, counters, now)
    for _, counter in ipairs(counters) do
        counter.states, counter.written = found_states(counter.raw), false
    end
    local extent = batch.atomic == 1 and ONLY_ALWAYS or WITHOUT_SLOTS
    local freed = {}
    for _, hit in ipairs(batch.hits) do
        local counter = counters[hit.counter]
        align(counter, hit.limits)
        if hit.cost == REFUND then
            refund(hit, counter, now, freed)
        elseif hit.cost == HITS then
            charge(hit, counter, now, extent)
        end
    end
end

-- Frees what a lease holds at counters whose limits are not known here.
local function give_back_unasked(batch, counters, now)
    for _, hit in ipairs(batch.hits) do
        local counter = counters[hit.counter]
        counter.written = give_back(counter.states, now, hit.lease) or counter.written
    end
end

local function lifetime(counter, now, kept)
    if not counter.limits then
        return 'KEEPTTL'
    end
    local ends = now
    for i, limit in ipairs(counter.limits) do
        ends = max(ends, ALGORITHMS[limit.number].ends(counter.states[i], limit, now))
    end
    return 'PX', string.format('%.0f', ceil((ends - now) / 1000) + kept)
end

local by_caller, kept = unpack_from('<BI8', ARGV[1])
local time = redis.call('TIME')
local server_now = time[1] * 1000000 + time[2]

local failure = false
local found = {}

local function get(key)
    local raw = redis.pcall('GET', key)
    if raw and raw.err then
        failure = failure or raw.err
        return 0
    end
    return raw
end

local function put(counter, now)
    local written = redis.pcall('SET', counter.key, write_states(counter.states), lifetime(counter, now, kept))
    if written.err then
        failure = failure or written.err
        return false
    end
    return true
end

local first = 0
for i = 2, #ARGV do
    local batch = read_batch(ARGV[i])
    local now = server_now
    if by_caller == 1 then
        now = min(batch.now, server_now + AHEAD)
    end
    local counters = {}
    for at = 1, batch.counters do
        local key = KEYS[first + at]
        local raw = get(key)
        found[first + at] = raw
        counters[at] = { key = key, raw = raw ~= 0 and raw, states = found_states(raw ~= 0 and raw) }
    end
    if batch.hits[1].cost == GIVE_BACK then
        give_back_unasked(batch, counters, now)
    else
        take_all(batch, counters, now)
        if batch.joint == 1 and is_refused(batch) then
            withhold(batch, counters, now)
        end
    end
    for at, counter in ipairs(counters) do
        if counter.written and found[first + at] ~= 0 and not put(counter, now) then
            found[first + at] = 0
        end
    end
    first = first + batch.counters
end
return { server_now, failure, unpack(found, 1, #KEYS) }
