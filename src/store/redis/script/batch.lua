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
    if hit.cost == SETTLE then
        hit.restores, hit.base, hit.own, position = unpack_from('<BI4c0I4c0', raw, position)
    end
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

-- What a clock that was ahead by more than a window has written is of now, with its count; see src/limit/count.rs.
local function correct(hit, counter, now)
    for i, limit in ipairs(hit.limits) do
        if limit.active and ALGORITHMS[limit.number].correct(counter.states[i], limit, now) then
            counter.written = true
        end
    end
end

local function refund(hit, counter, now, freed)
    if not counter.is_there then
        -- Where nothing was counted there is nothing to give back.
        return
    end
    if hit.lease and hit.limits.has_leases then
        if give_back(counter.states, now, hit.lease) then
            freed[hit.lease] = true
        end
        counter.written = true
    elseif not hit.lease or (freed[hit.lease] and not hit.limits.has_leases) then
        for i, limit in ipairs(hit.limits) do
            if limit.active then
                ALGORITHMS[limit.number].refund(counter.states[i], limit, now, hit.hits)
            end
        end
        counter.written = true
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
        -- A counter that is hit is there from then on, charged or not.
        counter.is_there, counter.written = true, counter.written or not counter.is_there
    end
end

-- Whether a look is refused, as src/limit/step.rs has it.
local function look(hit, counter, now)
    hit.refused = false
    for i, limit in ipairs(hit.limits) do
        if limit.active and limit.shadow == 0 then
            local asked = (hit.always == 1 and limit.number == FIXED_WINDOW) and 0 or 1
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
        correct(hit, counter, now)
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
        counter.is_there = true
    end
    local extent = batch.atomic == 1 and ONLY_ALWAYS or WITHOUT_SLOTS
    local freed = {}
    for _, hit in ipairs(batch.hits) do
        local counter = counters[hit.counter]
        align(counter, hit.limits)
        correct(hit, counter, now)
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

local function is_aligned(states, limits)
    for i, limit in ipairs(limits) do
        if not states[i] or not belongs(states[i], limit) then
            return false
        end
    end
    return #states == #limits
end

-- Adds what was counted elsewhere; where the rule was changed since, nobody is asked for that any more.
local function settle(hit, counter, now)
    if counter.is_there and not is_aligned(counter.states, hit.limits) then
        return
    end
    align(counter, hit.limits)
    local base, own = read_states(hit.base), read_states(hit.own)
    for i, limit in ipairs(hit.limits) do
        for _, state in ipairs({ counter.states[i], base[i], own[i] }) do
            ALGORITHMS[limit.number].correct(state, limit, now)
        end
        local apart = { base = base[i], own = own[i], restores = hit.restores == 1 }
        -- A time later than now is from a clock that is not trusted.
        ALGORITHMS[limit.number].settle(counter.states[i], limit, now + AHEAD, apart)
    end
    counter.written = true
end

local function lifetime(counter, now)
    if not counter.limits then
        return 'KEEPTTL'
    end
    local ends = now
    for i, limit in ipairs(counter.limits) do
        ends = max(ends, ALGORITHMS[limit.number].ends(counter.states[i], limit, now))
    end
    return 'PX', string.format('%.0f', ceil((ends - now) / 1000) + kept)
end

local function get(key)
    local raw = redis.pcall('GET', key)
    return raw and raw.err and failed(raw) or raw
end

local function put(counter, now)
    local reply = redis.pcall('SET', counter.key, write_states(counter.states), lifetime(counter, now))
    return not reply.err or failed(reply)
end

for i = next_batch, #ARGV do
    local batch = read_batch(ARGV[i])
    local now = moment(batch.now)
    local counters = {}
    for at = 1, batch.counters do
        local key = KEYS[first + at]
        local raw = get(key)
        found[first + at] = raw
        raw = raw ~= 0 and raw
        counters[at] = { key = key, raw = raw, states = found_states(raw), is_there = raw or batch.joint == 1 }
    end
    if batch.hits[1].cost == GIVE_BACK then
        give_back_unasked(batch, counters, now)
    elseif batch.hits[1].cost == SETTLE then
        settle(batch.hits[1], counters[1], now)
    else
        take_all(batch, counters, now)
        if batch.joint == 1 and is_refused(batch) then
            withhold(batch, counters, now)
        end
    end
    for at, counter in ipairs(counters) do
        if counter.written and found[first + at] ~= 0 and put(counter, now) == 0 then
            found[first + at] = 0
        end
    end
    first = first + batch.counters
end
return { server_now, failure, unpack(found, 1, #KEYS) }
