// Engine textures into the canonical form of the wire: row 0 is the top, 8-bit sRGB, metres, pixels.
// Reference implementation: Runtime/Internal/Canonical.cs; change both or none.
//
// Passes: 0 colour, 1 depth, 2 motion, from _C2RSource; 3 depth and 4 motion of URP, 5 motion of the
// built-in pipeline, from the textures that these pipelines publish by name.
Shader "Hidden/C2R/Canonical"
{
    SubShader
    {
        Cull Off
        ZWrite Off
        ZTest Always
        Blend Off

        CGINCLUDE
        #pragma target 3.5
        #pragma multi_compile_local _ C2R_ARRAY
        #include "UnityCG.cginc"

        #if defined(C2R_ARRAY)
        Texture2DArray _C2RSource;
        #define C2R_SAMPLE(samplerState, uv) _C2RSource.SampleLevel(samplerState, float3(uv, 0), 0)
        #else
        Texture2D _C2RSource;
        #define C2R_SAMPLE(samplerState, uv) _C2RSource.SampleLevel(samplerState, uv, 0)
        #endif
        Texture2D _CameraDepthTexture;
        Texture2D _MotionVectorTexture;
        Texture2D _CameraMotionVectorsTexture;
        SamplerState sampler_linear_clamp;
        SamplerState sampler_point_clamp;

        float2 _C2RScale;      // the part of the source that was drawn to
        float _C2RFlip;        // 1: the source's row 0 is the bottom, as Unity's are
        float _C2REncode;      // 1: the source holds linear light
        float4 _C2RPlanes;     // near, far (units), metres in a unit, 1: far plane at infinity
        float4 _C2RSize;       // width, height of the target, 1: reset, stretch of motion

        struct Varyings
        {
            float4 position : SV_POSITION;
            float2 uv : TEXCOORD0;
        };

        // One triangle over the whole target; uv (0, 0) is the target's row 0 with every API.
        Varyings Cover(uint id : SV_VertexID)
        {
            Varyings covered;
            float2 corner = float2((id << 1) & 2, id & 2);
            covered.position = float4(corner * 2.0 - 1.0, UNITY_NEAR_CLIP_VALUE, 1.0);
            #if UNITY_UV_STARTS_AT_TOP
            corner.y = 1.0 - corner.y;
            #endif
            covered.uv = corner;
            return covered;
        }

        float2 Place(float2 uv)
        {
            uv.y = _C2RFlip > 0.5 ? 1.0 - uv.y : uv.y;
            return uv * _C2RScale;
        }

        float SrgbOf(float linearLight)
        {
            float light = saturate(linearLight);
            if (light <= 0.0031308) return 12.92 * light;
            return 1.055 * pow(light, 1.0 / 2.4) - 0.055;
        }

        float3 Srgb(float3 linearLight)
        {
            return float3(SrgbOf(linearLight.r), SrgbOf(linearLight.g), SrgbOf(linearLight.b));
        }

        float Metres(float stored)
        {
            #if UNITY_REVERSED_Z
            float v = stored;
            #else
            float v = 1.0 - stored;
            #endif
            if (v <= 0.0) return asfloat(0x7F800000u);
            float z = _C2RPlanes.w > 0.5
                ? _C2RPlanes.x / v
                : _C2RPlanes.y * _C2RPlanes.x / (_C2RPlanes.x + v * (_C2RPlanes.y - _C2RPlanes.x));
            return z * _C2RPlanes.z;
        }

        // The sign. All three pipelines store now - before, in uv of Unity's textures: they halve the
        // difference of clip positions whose y is up (matrices for render textures are turned over
        // where UNITY_UV_STARTS_AT_TOP, and the result is turned back), and uv (0, 0) is the lower
        // left corner with every API. The wire wants before - now in rows from the top, where
        // y = 1 - v: x is -(u now - u before) = -uv.x, and y is (1 - v before) - (1 - v now) =
        // +uv.y. In Unity's own rows, from the bottom, it would be (-W, -H), as upscalers take it.
        // HDRP marks pixels without motion by x = 2; a half holds no more than 65504.
        float2 MotionPixels(float2 uv)
        {
            float2 pixels = float2(-uv.x * _C2RSize.x, uv.y * _C2RSize.y) * _C2RSize.w;
            bool known = _C2RSize.z < 0.5 && all(abs(uv) <= 1.0) && all(abs(pixels) <= 65504.0);
            return known ? pixels : asfloat(uint2(0x7FC00000u, 0x7FC00000u));
        }
        ENDCG

        Pass
        {
            Name "Colour"
            CGPROGRAM
            #pragma vertex Cover
            #pragma fragment Colour
            float4 Colour(Varyings at) : SV_Target
            {
                float3 source = C2R_SAMPLE(sampler_linear_clamp, Place(at.uv)).rgb;
                return float4(_C2REncode > 0.5 ? Srgb(source) : saturate(source), 1.0);
            }
            ENDCG
        }

        Pass
        {
            Name "Depth"
            CGPROGRAM
            #pragma vertex Cover
            #pragma fragment Depth
            float4 Depth(Varyings at) : SV_Target
            {
                return Metres(C2R_SAMPLE(sampler_point_clamp, Place(at.uv)).r);
            }
            ENDCG
        }

        Pass
        {
            Name "Motion"
            CGPROGRAM
            #pragma vertex Cover
            #pragma fragment Motion
            float4 Motion(Varyings at) : SV_Target
            {
                return float4(MotionPixels(C2R_SAMPLE(sampler_point_clamp, Place(at.uv)).rg), 0, 0);
            }
            ENDCG
        }

        Pass
        {
            Name "DepthByName"
            CGPROGRAM
            #pragma vertex Cover
            #pragma fragment DepthByName
            float4 DepthByName(Varyings at) : SV_Target
            {
                return Metres(_CameraDepthTexture.SampleLevel(sampler_point_clamp, Place(at.uv), 0).r);
            }
            ENDCG
        }

        Pass
        {
            Name "MotionByNameUniversal"
            CGPROGRAM
            #pragma vertex Cover
            #pragma fragment MotionUniversal
            float4 MotionUniversal(Varyings at) : SV_Target
            {
                float2 uv = _MotionVectorTexture.SampleLevel(sampler_point_clamp, Place(at.uv), 0).rg;
                return float4(MotionPixels(uv), 0, 0);
            }
            ENDCG
        }

        Pass
        {
            Name "MotionByNameBuiltIn"
            CGPROGRAM
            #pragma vertex Cover
            #pragma fragment MotionBuiltIn
            float4 MotionBuiltIn(Varyings at) : SV_Target
            {
                float2 uv =
                    _CameraMotionVectorsTexture.SampleLevel(sampler_point_clamp, Place(at.uv), 0).rg;
                return float4(MotionPixels(uv), 0, 0);
            }
            ENDCG
        }
    }
    Fallback Off
}
