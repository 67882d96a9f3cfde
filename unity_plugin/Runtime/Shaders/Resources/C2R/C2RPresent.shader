// A picture over the camera's colour, in the scriptable pipelines. Picture and target both have the
// bottom row first; an sRGB texture is turned into linear light by the sampler where that is right.
Shader "Hidden/C2R/Present"
{
    SubShader
    {
        Cull Off
        ZWrite Off
        ZTest Always
        Blend Off

        Pass
        {
            Name "Present"
            CGPROGRAM
            #pragma target 3.5
            #pragma vertex Cover
            #pragma fragment Show
            #include "UnityCG.cginc"

            Texture2D _C2RPicture;
            SamplerState sampler_linear_clamp;

            struct Varyings
            {
                float4 position : SV_POSITION;
                float2 uv : TEXCOORD0;
            };

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

            float4 Show(Varyings at) : SV_Target
            {
                return float4(_C2RPicture.SampleLevel(sampler_linear_clamp, at.uv, 0).rgb, 1.0);
            }
            ENDCG
        }
    }
    Fallback Off
}
