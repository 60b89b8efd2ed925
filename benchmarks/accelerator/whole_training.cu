// The article's network, trained from beginning to end in one kernel: a block of threads for each run, whose weights and
// gradients stay in registers. Each thread owns UNITS hidden units. It shows how fast a card could train this one network.

#include <cuda_runtime.h>

constexpr int WIDTH = 10;      // inputs, and outputs
constexpr int BATCH = 100;     // samples in a batch
constexpr int THREADS = 256;   // in a block
constexpr int WARPS = THREADS / 32;
constexpr int UNITS = 4;       // hidden units of a thread
constexpr int HIDDEN = 1000;   // hidden units of a run; THREADS * UNITS is no less
constexpr int ROW = 12;        // floats of a sample in shared memory: three loads of 16 bytes
constexpr int TOGETHER = 3;    // samples whose outputs are summed over a warp together: 30 sums for 32 lanes

__device__ __forceinline__ float sigmoid(float value) { return __fdividef(1.0f, 1.0f + __expf(-value)); }

__device__ __forceinline__ void load_row(const float* row, float (&values)[WIDTH]) {
    const float4 first = *reinterpret_cast<const float4*>(row), second = *reinterpret_cast<const float4*>(row + 4);
    const float2 last = *reinterpret_cast<const float2*>(row + 8);
    values[0] = first.x, values[1] = first.y, values[2] = first.z, values[3] = first.w;
    values[4] = second.x, values[5] = second.y, values[6] = second.z, values[7] = second.w;
    values[8] = last.x, values[9] = last.y;
}

// The sum over the warp of the value with the lane's number. Each turn halves the values: a lane keeps those of its half, and
// adds those of the other lane.
template <int half>
__device__ __forceinline__ float sum_over_warp(float (&values)[2 * half], int lane) {
    const bool upper = lane & half;
    float kept[half];
#pragma unroll
    for (int k = 0; k < half; ++k) {
        const float given = upper ? values[k] : values[k + half];
        kept[k] = (upper ? values[k + half] : values[k]) + __shfl_xor_sync(0xffffffffu, given, half);
    }
    if constexpr (half > 1) return sum_over_warp<half / 2>(kept, lane);
    else return kept[0];
}

__device__ __forceinline__ void hidden_of(const float (&x)[WIDTH], const float (&w1)[WIDTH][UNITS], float (&hidden)[UNITS]) {
#pragma unroll
    for (int u = 0; u < UNITS; ++u) {
        float sum = 0.0f;
#pragma unroll
        for (int k = 0; k < WIDTH; ++k) sum = fmaf(x[k], w1[k][u], sum);
        hidden[u] = sigmoid(sum);
    }
}

// x, target: [runs, batches, BATCH, WIDTH]; w1, w2: [runs, WIDTH, HIDDEN]; loss: [runs, epochs, batches].
__global__ void __launch_bounds__(THREADS, 1)
whole_training(const float* x_all, const float* target_all, const float* w1_all, const float* w2_all, float* loss_all,
               int batches, int epochs, float rate) {
    __shared__ alignas(16) float x[BATCH * ROW], error[BATCH * ROW];
    __shared__ float target[BATCH * WIDTH], partial[WARPS][BATCH * WIDTH + 32], loss_of_warp[WARPS];
    const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32, run = blockIdx.x;
    float w1[WIDTH][UNITS], w2[WIDTH][UNITS];
#pragma unroll
    for (int u = 0; u < UNITS; ++u) {
        const int unit = thread + u * THREADS;
#pragma unroll
        for (int k = 0; k < WIDTH; ++k) {
            const long at = (static_cast<long>(run) * WIDTH + k) * HIDDEN + unit;
            w1[k][u] = unit < HIDDEN ? w1_all[at] : 0.0f;
            w2[k][u] = unit < HIDDEN ? w2_all[at] : 0.0f;
        }
    }
    for (int step = 0; step < epochs * batches; ++step) {
        const long batch = static_cast<long>(run) * batches + step % batches;
        for (int i = thread; i < BATCH * WIDTH; i += THREADS) {
            x[i / WIDTH * ROW + i % WIDTH] = x_all[batch * BATCH * WIDTH + i];
            target[i] = target_all[batch * BATCH * WIDTH + i];
        }
        __syncthreads();

        for (int first = 0; first < BATCH; first += TOGETHER) {
            float sums[32] = {};
#pragma unroll
            for (int s = 0; s < TOGETHER; ++s) {
                float row[WIDTH], hidden[UNITS];
                load_row(x + min(first + s, BATCH - 1) * ROW, row);
                hidden_of(row, w1, hidden);
#pragma unroll
                for (int j = 0; j < WIDTH; ++j)
#pragma unroll
                    for (int u = 0; u < UNITS; ++u) sums[s * WIDTH + j] = fmaf(hidden[u], w2[j][u], sums[s * WIDTH + j]);
            }
            const float sum = sum_over_warp<16>(sums, lane);
            if (lane < TOGETHER * WIDTH) partial[warp][first * WIDTH + lane] = sum;
        }
        __syncthreads();

        float loss = 0.0f;
        for (int i = thread; i < BATCH * WIDTH; i += THREADS) {
            float out = 0.0f;
#pragma unroll
            for (int w = 0; w < WARPS; ++w) out += partial[w][i];
            const float y = sigmoid(out), difference = y - target[i];
            loss = fmaf(difference, difference, loss);
            error[i / WIDTH * ROW + i % WIDTH] = 2.0f / (BATCH * WIDTH) * difference * y * (1.0f - y);
        }
#pragma unroll
        for (int half = 16; half > 0; half /= 2) loss += __shfl_xor_sync(0xffffffffu, loss, half);
        if (lane == 0) loss_of_warp[warp] = loss;
        __syncthreads();
        if (thread == 0) {
            float sum = 0.0f;
            for (int w = 0; w < WARPS; ++w) sum += loss_of_warp[w];
            loss_all[static_cast<long>(run) * epochs * batches + step] = sum / (BATCH * WIDTH);
        }

        float g1[WIDTH][UNITS] = {}, g2[WIDTH][UNITS] = {};
        for (int b = 0; b < BATCH; ++b) {
            float row[WIDTH], back[WIDTH], hidden[UNITS];
            load_row(x + b * ROW, row);
            load_row(error + b * ROW, back);
            hidden_of(row, w1, hidden);
#pragma unroll
            for (int u = 0; u < UNITS; ++u) {
                float sum = 0.0f;
#pragma unroll
                for (int j = 0; j < WIDTH; ++j) {
                    sum = fmaf(back[j], w2[j][u], sum);
                    g2[j][u] = fmaf(back[j], hidden[u], g2[j][u]);
                }
                sum *= hidden[u] * (1.0f - hidden[u]);
#pragma unroll
                for (int k = 0; k < WIDTH; ++k) g1[k][u] = fmaf(row[k], sum, g1[k][u]);
            }
        }
#pragma unroll
        for (int k = 0; k < WIDTH; ++k)
#pragma unroll
            for (int u = 0; u < UNITS; ++u) {
                w1[k][u] = fmaf(-rate, g1[k][u], w1[k][u]);
                // A unit beyond HIDDEN has a gradient, because sigmoid(0) is not 0; its weights stay 0.
                if (thread + u * THREADS < HIDDEN) w2[k][u] = fmaf(-rate, g2[k][u], w2[k][u]);
            }
        __syncthreads();
    }
}

// Train all runs, from arrays on the card. Returns CUDA's error code, 0 for none.
extern "C" int train(const float* x, const float* target, const float* w1, const float* w2, float* loss, int runs, int batches,
                     int epochs, float rate) {
    whole_training<<<runs, THREADS>>>(x, target, w1, w2, loss, batches, epochs, rate);
    const cudaError_t launched = cudaGetLastError();
    return launched != cudaSuccess ? launched : cudaDeviceSynchronize();
}
